"""Streamlit entry point: hands over to study.pages, served by study.server."""

import streamlit as st

from study.server.server import PAGES, app_arguments

app = st.App(PAGES, **app_arguments())
