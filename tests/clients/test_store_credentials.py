"""Who the service is at a store: keys, roles, identities; how they change while it runs; and that nothing tells them."""

import datetime
import json
import threading
import time
import urllib.parse

import psycopg
import pytest
from fault_proxy import Proxy
from identity_services import BearerGate, EntraId, GoogleGate, ServiceAccount, WebIdentityGate
from server import eventually, lakeward
from sites import reasons, write_secret
from stand_ins import EVERYTHING, Azurite, reading, write_local
from test_stores import azure_settings, fresh, gcs_settings, patients, s3_settings

SUM = "SELECT sum(visits) FROM far.wards"


def assert_silent(server, *secrets):
    """Nothing that operators or users see holds a secret."""
    seen = server.log() + json.dumps(reasons(server)) + server.http("/metrics")[1]
    seen += json.dumps(server.rows("oscar", "SELECT * FROM system.tables"), default=str)
    for file in server.audit_directory().rglob("*"):
        if file.is_file():
            seen += file.read_text(errors="replace")
    run = lakeward("config", "check", "--config", server.config)
    seen += run.stdout + run.stderr
    for secret in secrets:
        assert secret not in seen


@pytest.fixture
def bucket(moto):
    bucket = moto.bucket(fresh())
    moto.write(f"s3://{bucket}/lake/wards", patients(0))
    return bucket


class Asker:
    """Asks all the time; `errors` are those that there were."""

    def __init__(self, server):
        self.server, self.errors, self.answers = server, [], 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with self.server.connect("stella") as connection:
            while not self.over.is_set():
                try:
                    assert connection.execute(SUM).fetchone() == (6,)
                    self.answers += 1
                except psycopg.Error as error:
                    self.errors.append(error)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(30)


def test_the_least_rights_suffice(moto, sites, bucket, tmp_path):
    key = moto.user(f"{bucket}-reader", reading(bucket, "lake/"))
    server = sites.start(
        layers={"far": f"s3://{bucket}/lake"}, stores={"lake": s3_settings(moto, bucket, tmp_path / "secrets", key=key)}
    )
    assert server.value("stella", SUM) == 6


def test_keys_are_rotated_without_a_failed_statement(moto, sites, bucket, tmp_path):
    user = f"{bucket}-rotated"
    old = moto.user(user, reading(bucket))
    secrets = tmp_path / "secrets"
    server = sites.start(
        layers={"far": f"s3://{bucket}/lake"}, stores={"lake": s3_settings(moto, bucket, secrets, key=old)}
    )
    with Asker(server) as asker:
        eventually(lambda: asker.answers > 3, "statements run")
        for _ in range(2):
            new = moto.new_key(user)
            write_secret(secrets / f"{bucket}.id", new[0])
            write_secret(secrets / f"{bucket}.secret", new[1])
            # Gone at once: what the service still holds is refused from now on.
            moto.revoke(user, old[0])
            before = asker.answers
            eventually(lambda: asker.answers > before + 3, "statements run on")
            old = new
    assert not asker.errors, asker.errors
    assert server.value("stella", SUM) == 6
    assert_silent(server, old[1])


def test_a_key_that_is_revoked_for_good_is_an_error_with_a_reason(moto, sites, bucket, tmp_path):
    user = f"{bucket}-revoked"
    key = moto.user(user, reading(bucket))
    write_local(tmp_path / "near" / "wards", patients(10))
    server = sites.start(
        layers={"near": str(tmp_path / "near")},
        tables=[{"schema": "far", "name": "wards", "location": f"s3://{bucket}/lake/wards"}],
        stores={"lake": s3_settings(moto, bucket, tmp_path / "secrets", key=key)},
    )
    assert server.value("stella", SUM) == 6
    moto.revoke(user, key[0])
    denied = "access denied (403 InvalidAccessKeyId)"
    eventually(lambda: denied in reasons(server).get("far.wards", ""), "the table is unavailable")
    with pytest.raises(psycopg.Error):
        server.rows("stella", SUM)
    assert server.value("stella", "SELECT sum(visits) FROM near.wards") == 46
    new = moto.new_key(user)
    write_secret(tmp_path / "secrets" / f"{bucket}.id", new[0])
    write_secret(tmp_path / "secrets" / f"{bucket}.secret", new[1])
    eventually(lambda: not reasons(server), "and back")
    assert server.value("stella", SUM) == 6
    assert_silent(server, key[1], new[1])


def test_a_credential_file_that_others_can_read_closes_its_store_alone(moto, sites, bucket, tmp_path):
    settings = s3_settings(moto, bucket, tmp_path / "secrets")
    (tmp_path / "secrets" / f"{bucket}.secret").chmod(0o644)
    write_local(tmp_path / "near" / "wards", patients(10))
    server = sites.start(
        layers={"near": str(tmp_path / "near")},
        tables=[{"schema": "far", "name": "wards", "location": f"s3://{bucket}/lake/wards"}],
        stores={"lake": settings},
    )
    assert "chmod 600" in reasons(server)["far.wards"]
    assert server.value("stella", "SELECT sum(visits) FROM near.wards") == 46
    (tmp_path / "secrets" / f"{bucket}.secret").chmod(0o600)
    eventually(lambda: not reasons(server), "and back")


def test_the_environments_credentials(moto, sites, bucket, tmp_path):
    settings = s3_settings(moto, bucket, tmp_path / "secrets")
    for key in ("access_key_id", "secret_access_key", "region"):
        del settings["s3"][key]
    server = sites.start(
        layers={"far": f"s3://{bucket}/lake"},
        stores={"lake": settings},
        settings={
            "AWS_ACCESS_KEY_ID": moto.key[0],
            "AWS_SECRET_ACCESS_KEY": moto.key[1],
            "AWS_REGION": "eu-west-2",
        },
    )
    assert server.value("stella", SUM) == 6
    assert_silent(server, moto.key[1])


class ShortSessions(Proxy):
    """STS whose sessions last only seconds, as far as who gets them is told."""

    seconds = 4.0

    def pass_on(self, request):
        answer = super().pass_on(request)
        if b"<Expiration>" in answer.body:
            ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.seconds)
            start, rest = answer.body.split(b"<Expiration>")
            _, end = rest.split(b"</Expiration>")
            text = ends.strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
            answer.body = start + b"<Expiration>" + text + b"</Expiration>" + end
        return answer


def forms(proxy, action):
    sent = [dict(urllib.parse.parse_qsl(request.body.decode())) for request in proxy.seen() if request.method == "POST"]
    return [form for form in sent if form.get("Action") == action]


def test_a_role_is_taken_on_and_renewed(moto, proxies, sites, bucket, tmp_path):
    arn = moto.role(f"{bucket}-role", reading(bucket))
    # Who asks may take on the role and nothing else.
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    key = moto.user(f"{bucket}-nobody", policy)
    sts, s3 = proxies(ShortSessions, moto.port), proxies(moto.port)
    role = {"arn": arn, "external_id": "trust-7281", "session_name": "ward-reader", "sts_endpoint": sts.endpoint}
    settings = s3_settings(moto, bucket, tmp_path / "secrets", key=key, endpoint=s3.endpoint, role=role)
    server = sites.start(layers={"far": f"s3://{bucket}/lake"}, stores={"lake": settings})
    with Asker(server) as asker:
        eventually(lambda: len(forms(sts, "AssumeRole")) >= 3, "sessions are renewed", 40)
        before = asker.answers
        eventually(lambda: asker.answers > before + 3, "statements run on")
    assert not asker.errors, asker.errors
    (form,) = {json.dumps(form, sort_keys=True) for form in forms(sts, "AssumeRole")}
    form = json.loads(form)
    assert (form["RoleArn"], form["ExternalId"], form["RoleSessionName"], form["DurationSeconds"]) == (
        arn,
        "trust-7281",
        "ward-reader",
        "3600",
    )
    users = {request.access_key for request in s3.seen()}
    assert key[0] not in users and all(user.startswith("ASIA") for user in users), users
    assert len(users) >= 2, "each session has a key of its own"
    assert len(forms(sts, "AssumeRole")) < 20, "sessions are kept while they last"
    assert_silent(server, key[1])


def test_a_role_that_is_refused_is_said_so(moto, sites, bucket, tmp_path):
    wrong = (moto.user(f"{bucket}-wrong", EVERYTHING)[0], "x" * 40)
    role = {"arn": "arn:aws:iam::123456789012:role/lake", "sts_endpoint": moto.endpoint}
    server = sites.start(
        layers={},
        tables=[{"schema": "far", "name": "wards", "location": f"s3://{bucket}/lake/wards"}],
        stores={"lake": s3_settings(moto, bucket, tmp_path / "secrets", key=wrong, role=role)},
    )
    reason = reasons(server)["far.wards"]
    assert "STS refused the role arn:aws:iam::123456789012:role/lake" in reason and "SignatureDoesNotMatch" in reason


def test_a_web_identity(moto, proxies, sites, bucket, tmp_path):
    arn = moto.role(f"{bucket}-web", reading(bucket))
    token = tmp_path / "token"
    token.write_text("platform-token-1\n")
    sts = proxies(WebIdentityGate, moto, "platform-token-1")
    settings = s3_settings(moto, bucket, tmp_path / "secrets")
    for key in ("access_key_id", "secret_access_key"):
        del settings["s3"][key]
    settings["s3"] |= {"web_identity_token_file": str(token), "role": {"arn": arn, "sts_endpoint": sts.endpoint}}
    server = sites.start(
        layers={},
        tables=[{"schema": "far", "name": "wards", "location": f"s3://{bucket}/lake/wards"}],
        stores={"lake": settings},
    )
    assert server.value("stella", SUM) == 6
    (form,) = forms(sts, "AssumeRoleWithWebIdentity")[:1]
    assert form["WebIdentityToken"] == "platform-token-1" and form["RoleArn"] == arn
    assert_silent(server, "platform-token-1")
    token.write_text("another-token\n")
    other = sites.start(
        layers={},
        tables=[{"schema": "far", "name": "wards", "location": f"s3://{bucket}/lake/wards"}],
        stores={"lake": settings},
    )
    assert "InvalidIdentityToken" in reasons(other)["far.wards"]


@pytest.fixture
def container(azurite):
    container = azurite.container(fresh())
    azurite.write(f"az://{container}/lake/wards", patients(0))
    return container


def azure_site(sites, container, settings):
    return sites.start(
        layers={},
        tables=[{"schema": "far", "name": "wards", "location": f"az://{container}/lake/wards"}],
        stores={"lake": settings},
    )


def test_a_shared_access_signature_and_its_successor(azurite, sites, container, tmp_path):
    now = datetime.datetime.now(datetime.UTC)
    short = azurite.signature(container, now + datetime.timedelta(seconds=8))
    settings = azure_settings(azurite, f"az://{container}/", tmp_path)
    del settings["azure"]["access_key"]
    settings["azure"]["sas_token"] = write_secret(tmp_path / "sas", short)
    server = azure_site(sites, container, settings)
    assert server.value("stella", SUM) == 6
    denied = "access denied (403 AuthorizationFailure)"
    eventually(lambda: denied in reasons(server).get("far.wards", ""), "the signature ends", 40)
    long = azurite.signature(container, now + datetime.timedelta(hours=1))
    write_secret(tmp_path / "sas", long)
    eventually(lambda: not reasons(server), "and another one takes over", 40)
    assert server.value("stella", SUM) == 6
    signatures = [urllib.parse.parse_qs(token)["sig"][0] for token in (short, long)]
    assert_silent(server, *signatures, *(urllib.parse.quote(s, safe="") for s in signatures))


def test_a_wrong_account_key(azurite, sites, container, tmp_path):
    settings = azure_settings(azurite, f"az://{container}/", tmp_path)
    settings["azure"]["access_key"] = write_secret(tmp_path / "wrong", "d3Jvbmcgd3Jvbmcgd3Jvbmc=")
    server = azure_site(sites, container, settings)
    assert "access denied (403" in reasons(server)["far.wards"]
    write_secret(tmp_path / "wrong", Azurite.KEY)
    eventually(lambda: not reasons(server), "and back")
    write_secret(tmp_path / "wrong", "no base 64 at all!")
    other = azure_site(sites, container, settings)
    assert "no credentials" in reasons(other)["far.wards"]
    assert_silent(server, Azurite.KEY)


@pytest.mark.parametrize("kind", ["client_secret", "federated_token_file", "managed_identity"])
def test_identities_of_entra_id(azurite, proxies, sites, container, tmp_path, kind):
    entra = proxies(EntraId, secret="first-secret", assertion="first-assertion")
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    gate = proxies(BearerGate, azurite, entra, azurite.signature(container, ends))
    settings = azure_settings(azurite, f"az://{container}/", tmp_path)
    del settings["azure"]["access_key"]
    settings["azure"] |= {
        "endpoint": f"{gate.endpoint}/{Azurite.ACCOUNT}",
        "authority_host": entra.endpoint,
        "client_id": "client-1",
        "tenant_id": "tenant-1",
    }
    if kind == "client_secret":
        settings["azure"]["client_secret"] = write_secret(tmp_path / "client", "first-secret")
    elif kind == "federated_token_file":
        (tmp_path / "client").write_text("first-assertion\n")
        settings["azure"]["federated_token_file"] = str(tmp_path / "client")
    else:
        settings["azure"] |= {"managed_identity": True, "client_id": "machine"}
        settings["azure"]["managed_identity_endpoint"] = f"{entra.endpoint}/metadata/identity/oauth2/token"
    server = azure_site(sites, container, settings)
    assert server.value("stella", SUM) == 6
    assert len(entra.seen()) <= 2, "a token is kept"
    assert_silent(server, entra.token, "first-secret", "first-assertion")
    if kind == "managed_identity":
        return
    # Both change: the tokens of the old secret are refused, and it itself.
    entra.token, entra.secret, entra.assertion = "entra-token-2", "second-secret", "second-assertion"
    write_secret(tmp_path / "client", f"second-{'secret' if kind == 'client_secret' else 'assertion'}")
    eventually(lambda: works(server), "the new one takes over", 40)


def works(server) -> bool:
    try:
        return server.value("stella", SUM) == 6
    except psycopg.Error:
        return False


def test_a_service_account_of_google(moto, proxies, sites, bucket, tmp_path):
    account = ServiceAccount()
    gate = proxies(GoogleGate, moto, account)
    table = {"schema": "far", "name": "wards", "location": f"gs://{bucket}/lake/wards"}
    settings = gcs_settings(gate, account, bucket, tmp_path)
    server = sites.start(layers={}, tables=[table], stores={"lake": settings})
    assert server.value("stella", SUM) == 6
    # Its key is replaced: Google knows the new one only.
    gate.account = ServiceAccount()
    write_secret(tmp_path / "gcs.json", gate.account.json)
    eventually(lambda: works(server), "the new key takes over", 40)
    assert_silent(server, "BEGIN PRIVATE KEY", json.loads(account.json)["private_key"].splitlines()[1])
    # Application default credentials are a file, too.
    del settings["gcs"]["service_account_key"]
    adc = tmp_path / "adc.json"
    adc.write_text(gate.account.json)
    other = sites.start(
        layers={}, tables=[table], stores={"lake": settings}, settings={"GOOGLE_APPLICATION_CREDENTIALS": adc}
    )
    assert other.value("stella", SUM) == 6
    write_secret(tmp_path / "gcs.json", "{}")
    stranger = sites.start(
        layers={}, tables=[table], stores={"lake": gcs_settings(gate, ServiceAccount("x@y.z"), bucket, tmp_path / "z")}
    )
    assert "access denied (401" in reasons(stranger)["far.wards"]
