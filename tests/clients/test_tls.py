"""TLS with a certificate made by `lakeward cert create`."""

import shutil
import ssl
import urllib.request

import psycopg
import pytest
from server import eventually, lakeward


def make_certificates(directory, *arguments):
    run = lakeward("cert", "create", "--dir", directory, "--host", "localhost", "--host", "127.0.0.1", *arguments)
    assert run.returncode == 0, run.stderr


@pytest.fixture
def secured(own_server, tmp_path):
    certificates = tmp_path / "certificates"
    make_certificates(certificates)
    server = own_server(
        settings={
            "LAKEWARD_TLS__CERTIFICATE": certificates / "server.crt",
            "LAKEWARD_TLS__KEY": certificates / "server.key",
        },
        authority=certificates / "ca.crt",
    )
    return server, certificates


def test_keys_are_for_their_owner_only(tmp_path):
    make_certificates(tmp_path / "certificates")
    for name in ("ca.key", "server.key"):
        assert (tmp_path / "certificates" / name).stat().st_mode & 0o077 == 0
    again = lakeward("cert", "create", "--dir", tmp_path / "certificates", "--host", "localhost")
    assert again.returncode != 0, "nothing is overwritten"


def test_clients_verify_the_server(secured):
    server, certificates = secured
    verified = {"sslmode": "verify-full", "sslrootcert": str(certificates / "ca.crt")}
    with server.connect("alice", channel_binding="require", **verified) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT count(*) > 0 FROM silver.patients").fetchone() == (True,)
    with server.connect("alice", sslmode="require", channel_binding="disable") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        server.connect("alice", sslmode="verify-full", sslrootcert="system")


def test_http_is_encrypted_too(secured):
    server, certificates = secured
    context = ssl.create_default_context(cafile=certificates / "ca.crt")
    with urllib.request.urlopen(f"https://127.0.0.1:{server.http_port}/healthz", context=context, timeout=5) as answer:
        assert answer.status == 200


def test_a_renewed_certificate_is_taken_up(secured, tmp_path):
    server, certificates = secured

    def presented() -> str:
        # PostgreSQL's own start of TLS; libpq does not show the certificate, so ssl looks at the HTTP listener.
        return ssl.get_server_certificate(("127.0.0.1", server.http_port))

    first = presented()
    make_certificates(certificates, "--renew")
    eventually(lambda: presented() != first, "the new certificate is presented")
    with server.connect("alice", sslmode="verify-full", sslrootcert=str(certificates / "ca.crt")) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    shutil.copy(certificates / "server.crt", tmp_path / "kept.crt")
    second = presented()
    (certificates / "server.crt").write_text("no certificate")
    eventually(lambda: "server.crt" in server.log(), "the log says why")
    assert presented() == second, "the last good one stays"
