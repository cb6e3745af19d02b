import pytest
from server import Server, copy_lake, make_lake


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    """The demo lake; read only. Tests that change files take `own_lake`."""
    return make_lake(tmp_path_factory.mktemp("lake") / "demo")


@pytest.fixture(scope="session")
def server(lake):
    """One server that all tests share; tests that stop or reconfigure one take `own_server`."""
    server = Server(lake).start()
    yield server
    try:
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


@pytest.fixture
def own_lake(lake, tmp_path):
    return copy_lake(lake, tmp_path / "lake")


@pytest.fixture
def own_server(own_lake):
    """Starts a server over a lake of the test's own: own_server(settings={...})."""
    started = []

    def start(**options):
        started.append(Server(own_lake, **options))
        return started[-1].start()

    yield start
    for server in started:
        server.kill()
