"""The script Streamlit runs at every message of a browser: the listener's page, or the researcher's."""

import streamlit as st

from study.room import listener, researcher
from study.room.served import served

st.set_page_config(page_title=served().design.study.title, layout="centered", menu_items={})
pages = [st.Page(listener.page, title="Study", default=True)]
if researcher.admitted():
    pages.append(st.Page(researcher.page, title="Researcher", url_path="researcher"))
st.navigation(pages, position="hidden").run()
