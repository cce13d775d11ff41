# The rating server: study serve, study invite, study backup, study report. No PyTorch, so no study build:
# build a study where its models are trained, and bring its folder here. See docs/operator.md.

FROM python:3.11-slim AS install
WORKDIR /source
RUN python -m venv /opt/study
COPY constraints.txt study/deployment/requirements.txt ./
RUN /opt/study/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -r requirements.txt
COPY pyproject.toml README.md LICENSE streamlit_app.py ./
COPY caw caw
COPY analysis analysis
COPY study study
RUN /opt/study/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.11-slim
# soundfile brings its libsndfile and psycopg its libpq, so the system needs nothing more.
RUN useradd --uid 10001 --create-home listener && mkdir /study && chown listener /study
COPY --from=install /opt/study /opt/study
ENV PATH=/opt/study/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER listener
WORKDIR /study
VOLUME /study
EXPOSE 8501
# It asks the database, too: unhealthy means that no answer could be saved.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as ask; ask.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["study", "serve", "/study", "--host", "0.0.0.0", "--port", "8501"]
