"""Streamlit entry point: hands over to study.room."""
