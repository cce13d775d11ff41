"""Streamlit entry point: hands over to study.pages, served by study.server."""

import streamlit as st

from study.server.server import PAGES, parts

app = st.App(PAGES, **parts())
