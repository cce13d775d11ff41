"""The colours of the pages, in light and in dark: warm paper, dark ink, one deep teal.

White text on either primary colour has a contrast of at least 5 to 1.
"""

LIGHT = {
    "primaryColor": "#0f6b66",
    "backgroundColor": "#fbfaf7",
    "secondaryBackgroundColor": "#f1efe9",
    "textColor": "#22211f",
    "borderColor": "#d8d4ca",
}
DARK = {
    "primaryColor": "#187a74",
    "backgroundColor": "#16181b",
    "secondaryBackgroundColor": "#212429",
    "textColor": "#ecebe7",
    "borderColor": "#3c4147",
}
