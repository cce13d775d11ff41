"""Streamlit entry point: hands over to study.room."""

import streamlit as st

from study.room.server import PAGES, parts

app = st.App(PAGES, **parts())
