"""The script Streamlit runs at every message of a browser: the listener's page or a researcher's."""

import streamlit as st

from study.room import (
    listener,
    researcher,
    researcher_data,
    researcher_listeners,
    researcher_overview,
    researcher_results,
)
from study.room.served import served

st.set_page_config(page_title=served().design.study.title, layout="centered", menu_items={})
pages = [st.Page(listener.page, title="Study", default=True)]
if researcher.session() is not None:
    for module in (researcher_overview, researcher_listeners, researcher_data, researcher_results):
        path = researcher.WAY[module.TITLE].removeprefix("/")
        pages.append(st.Page(module.page, title=module.TITLE, url_path=path))
st.navigation(pages, position="hidden").run()
