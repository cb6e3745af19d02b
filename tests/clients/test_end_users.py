"""Accounts that act on behalf of end users: a token narrows what is seen, and never widens it."""

import base64
import json
import re
import time

import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from server import eventually

ISSUER = "dashboards"
KEY = Ed25519PrivateKey.generate()


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(user, roles=(), tenant=None, key=KEY, header=None, **claims) -> str:
    """A JSON Web Token by hand: an implementation other than the service's."""
    payload = {"iss": ISSUER, "aud": "lakeward", "sub": user, "exp": int(time.time()) + 600, "roles": list(roles)}
    if tenant:
        payload["tenant"] = tenant
    payload.update(claims)
    payload = {name: value for name, value in payload.items() if value is not None}
    parts = [json.dumps(part).encode() for part in (header or {"alg": "EdDSA", "typ": "JWT"}, payload)]
    signed = ".".join(encoded(part) for part in parts)
    return f"{signed}.{encoded(key.sign(signed.encode()))}"


def act_for(connection, *arguments, **claims):
    connection.execute(f"SET lakeward.end_user = '{token(*arguments, **claims)}'")


@pytest.fixture
def dashboards(own_lake, own_server):
    """Stella, who sees everything, sees nothing without an end user; Alice may name one."""
    public = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (own_lake / "keys/dashboards.pem").write_bytes(public)
    users = own_lake / "users.yaml"
    text = users.read_text()
    for person, mode in [("stella", "required"), ("alice", "optional")]:
        text, changed = re.subn(rf"^  - name: {person}\n", rf"\g<0>    end_users: {mode}\n", text, flags=re.M)
        assert changed == 1
    users.write_text(text)
    config = own_lake / "lakeward.yaml"
    identity = "identity:\n  issuers:\n    dashboards: { public_key: keys/dashboards.pem }\n"
    config.write_text(config.read_text().replace("identity:\n", identity))
    return own_server()


TENANTS = "SELECT DISTINCT tenant_id FROM silver.patients ORDER BY 1"


def tenants(connection):
    return [tenant for (tenant,) in connection.execute(TENANTS)]


def refused(connection, sql) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as error:
        connection.execute(sql)
    return error.value


def test_an_account_for_end_users_only(dashboards):
    with dashboards.connect("stella") as stella:
        error = refused(stella, TENANTS)
        assert error.sqlstate == "28000" and "SET lakeward.end_user" in error.diag.message_hint
        assert refused(stella, "SELECT count(*) FROM information_schema.tables").sqlstate == "28000"
        assert stella.execute("SHOW search_path").fetchone() == ("",)
        act_for(stella, "dana", ["steward"])
        everyone = tenants(stella)
        assert len(everyone) > 1
        assert stella.execute("SHOW lakeward.end_user").fetchone() == ("dana",)
        act_for(stella, "erin", ["analyst"], everyone[0])
        assert tenants(stella) == everyone[:1]
        assert "silver" in stella.execute("SHOW search_path").fetchone()[0]
        (schemas,) = stella.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'bronze'").fetchone()
        assert schemas == 0, "what the end user may not see is not there"
        numbers = stella.execute("SELECT DISTINCT left(nhs_number, 6) FROM silver.patients WHERE nhs_number <> ''").fetchall()
        assert numbers == [("******",)], "the end user's masks"
        stella.execute("RESET lakeward.end_user")
        assert refused(stella, TENANTS).sqlstate == "28000"


def test_a_token_never_widens(dashboards):
    with dashboards.connect("alice") as alice:
        own = tenants(alice)
        assert len(own) == 1
        masked = alice.execute("SELECT max(nhs_number), count(*) FROM silver.patients").fetchone()
        act_for(alice, "mallory", ["steward", "operator"])
        assert tenants(alice) == own
        assert alice.execute("SELECT max(nhs_number), count(*) FROM silver.patients").fetchone() == masked
        assert refused(alice, "SELECT * FROM bronze.hl7_messages").sqlstate == "42P01"
        assert refused(alice, "SELECT * FROM system.policies").sqlstate == "42P01"
        act_for(alice, "bob", ["analyst"], "another-tenant")
        assert tenants(alice) == []
        act_for(alice, "nobody")
        assert refused(alice, TENANTS).sqlstate == "42P01"
        # Both have a mask on it, and not the same.
        act_for(alice, "dan", ["data_scientist"])
        assert alice.execute("SELECT DISTINCT nhs_number FROM silver.patients").fetchall() == [(None,)]


def test_tokens_that_are_refused(dashboards):
    other = Ed25519PrivateKey.generate()
    now = int(time.time())
    cases = {
        "another's signature": token("dana", ["steward"], key=other),
        "unsigned": token("dana", ["steward"], header={"alg": "none"}),
        "the public key as a secret": token("dana", ["steward"], header={"alg": "HS256"}),
        "another issuer": token("dana", ["steward"], iss="elsewhere"),
        "no issuer": token("dana", ["steward"], iss=None),
        "another audience": token("dana", ["steward"], aud="payroll"),
        "no audience": token("dana", ["steward"], aud=None),
        "expired": token("dana", ["steward"], exp=now - 1),
        "no end": token("dana", ["steward"], exp=None),
        "for a week": token("dana", ["steward"], exp=now + 7 * 86400),
        "not yet": token("dana", ["steward"], nbf=now + 300),
        "a wildcard": token("*", ["steward"]),
        "a role that is no name": token("dana", ["a b"]),
        "an attribute that is no text": token("dana", ["steward"], attributes={"practice": 7}),
        "no token": "dana",
        "one part": "a.b",
    }
    with dashboards.connect("stella") as stella:
        act_for(stella, "erin", ["analyst"], "nowhere")
        for what, text in cases.items():
            error = refused(stella, f"SET lakeward.end_user = '{text}'")
            assert error.sqlstate == "28000", what
            assert text not in str(error), what
            assert stella.execute("SHOW lakeward.end_user").fetchone() == ("erin",), what
        assert tenants(stella) == []
    with dashboards.connect("bob") as bob:
        error = refused(bob, f"SET lakeward.end_user = '{token('dana', ['steward'])}'")
        assert error.sqlstate == "28000" and "end_users" in error.diag.message_hint
    trail = b"".join(file.read_bytes() for file in dashboards.audit_directory().glob("*.jsonl"))
    assert b"end user" in trail and cases["expired"].encode() not in trail


def test_the_token_ends_while_the_session_goes_on(dashboards):
    with dashboards.connect("stella") as stella:
        act_for(stella, "dana", ["steward"], exp=int(time.time()) + 3)
        assert len(tenants(stella)) > 1
        eventually(lambda: "expired" in str(last_error(stella)), "the token to expire")
        act_for(stella, "dana", ["steward"])
        assert len(tenants(stella)) > 1


def last_error(connection):
    try:
        connection.execute(TENANTS)
    except psycopg.Error as error:
        return error


def test_rows_and_plans_of_one_end_user_are_not_the_next_ones(dashboards):
    with dashboards.connect("stella", prepare_threshold=0) as stella:
        act_for(stella, "dana", ["steward"])
        everyone = tenants(stella)
        cursor = stella.cursor()
        assert cursor.execute(TENANTS, prepare=True).fetchall() == [(tenant,) for tenant in everyone]
        act_for(stella, "erin", ["analyst"], everyone[0])
        assert cursor.execute(TENANTS, prepare=True).fetchall() == [(everyone[0],)]
        stella.execute("DISCARD ALL")
        assert refused(stella, TENANTS).sqlstate == "28000"


def test_statements_of_other_end_users_are_not_listed(dashboards):
    listed = "SELECT query FROM system.queries WHERE query LIKE '%marker%' AND query NOT LIKE '%queries%'"
    with dashboards.connect("stella") as stella:
        act_for(stella, "erin", ["analyst"], "nowhere")
        stella.execute("SELECT 'marker of erin'")
        assert len(stella.execute(listed).fetchall()) == 1
        act_for(stella, "dana", ["analyst"], "nowhere")
        assert stella.execute(listed).fetchall() == []


def test_the_trail_names_both(dashboards):
    with dashboards.connect("stella") as stella:
        act_for(stella, "dana", ["steward"], tenant=None)
        stella.execute("SELECT count(*) FROM silver.patients")
    assert dashboards.stop() == 0
    lines = [
        json.loads(line)
        for file in dashboards.audit_directory().glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    found = [actor for actor in map(find_actor, lines) if actor and "end_user" in actor]
    assert found and all(actor["user"] == "stella" for actor in found)
    assert found[-1]["end_user"]["user"] == "dana" and found[-1]["end_user"]["issuer"] == ISSUER


def find_actor(record):
    if isinstance(record, dict):
        if "actor" in record:
            return record["actor"]
        return next((found for value in record.values() if (found := find_actor(value))), None)
    return None
