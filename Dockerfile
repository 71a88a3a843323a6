# Serves a bundle: docker build -t gru4rec-study . && docker run -p 8000:8000 -v $PWD/bundle:/bundle:ro gru4rec-study
FROM python:3.11-slim
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY gru4rec_cli gru4rec_cli
COPY vendor/pin.json vendor/pin.json
# The small build of torch, without CUDA; all versions are those of constraints.txt.
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -c constraints.txt ".[serve]" \
    && rm -rf /src
RUN useradd --create-home --uid 10001 study
USER study
WORKDIR /home/study
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["gru4rec-study"]
CMD ["serve", "/bundle", "--host", "0.0.0.0"]
