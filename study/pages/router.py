"""The script Streamlit runs at every message of a browser: the listener's page or a researcher's."""

import streamlit as st

from study.pages import (
    listener,
    researcher,
    researcher_data,
    researcher_listeners,
    researcher_overview,
    researcher_pool,
    researcher_results,
)
from study.server import login
from study.server.served import served

OF_RESEARCHER = (
    researcher_overview,
    researcher_listeners,
    researcher_data,
    researcher_pool,
    researcher_results,
)

st.set_page_config(page_title=served().design.study.title, layout="centered", menu_items={})
pages = [st.Page(listener.page, title="Study", default=True)]
if researcher.session() is not None:
    modules = (researcher_pool,) if served().curating else OF_RESEARCHER
    for module in modules:
        path = login.HOME if served().curating else researcher.WAY[module.TITLE]
        pages.append(st.Page(module.page, title=module.TITLE, url_path=path.removeprefix("/")))
st.navigation(pages, position="hidden").run()
