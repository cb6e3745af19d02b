import pytest
from fault_proxy import Proxy
from server import Server, copy_lake, make_lake
from sites import Sites
from stand_ins import Azurite, Moto


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


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    moto = Moto(tmp_path_factory.mktemp("moto"))
    yield moto
    moto.stop()


@pytest.fixture(scope="session")
def unchecked_moto(tmp_path_factory):
    moto = Moto(tmp_path_factory.mktemp("unchecked-moto"), checked=False)
    yield moto
    moto.stop()


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    azurite = Azurite(tmp_path_factory.mktemp("azurite"))
    yield azurite
    azurite.stop()


@pytest.fixture
def sites(lake, tmp_path):
    """Services of the test's own over stores."""
    sites = Sites(tmp_path, lake)
    yield sites
    sites.stop()


@pytest.fixture
def proxies():
    """Starts proxies in front of stores: proxies(EntraId, secret="x"), proxies(port)."""
    started = []

    def start(kind, *arguments, **options):
        started.append(Proxy(kind) if isinstance(kind, int) else kind(*arguments, **options))
        return started[-1]

    yield start
    for proxy in started:
        proxy.stop()
