import pytest
import service_runs
import web_client


@pytest.fixture(scope="module")
def made():
    return service_runs.made()


@pytest.fixture(scope="module")
def web(made):
    return web_client.client(made.root)
