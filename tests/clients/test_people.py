"""The same statements by different people: each sees their part, and nothing says what they do not see."""

import psycopg
import pytest

PATIENTS = "SELECT count(*), min(birth_date) FROM silver.patients"
ANALYSTS = ("alice", "bob")
READERS = ("alice", "bob", "dana", "parker")


def refused(server, person, sql) -> psycopg.Error:
    with server.connect(person) as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(sql).fetchall()
    return caught.value


def test_analysts_see_their_tenant_as_the_steward_computes_it(server):
    by_tenant = {
        tenant: (count, oldest)
        for tenant, count, oldest in server.rows(
            "stella", "SELECT tenant_id, count(*), min(birth_date) FROM silver.patients GROUP BY tenant_id"
        )
    }
    seen = {}
    for analyst in ANALYSTS:
        tenant = server.value(analyst, "SELECT DISTINCT tenant_id FROM silver.patients")
        seen[tenant] = server.rows(analyst, PATIENTS)[0]
        assert seen[tenant] == by_tenant[tenant]
    assert len(seen) == 2, "the two analysts belong to different tenants"
    first, second = seen.values()
    assert first != second


def test_the_steward_sees_everyone(server):
    count = server.value("stella", "SELECT count(*) FROM silver.patients")
    parts = server.rows("stella", "SELECT count(*) FROM silver.patients GROUP BY tenant_id")
    assert len(parts) >= 2
    assert count == sum(part for (part,) in parts) == 1000


@pytest.mark.parametrize("analyst", ANALYSTS)
def test_a_predicate_reaches_no_other_tenant(server, analyst):
    tenant = server.value(analyst, "SELECT DISTINCT tenant_id FROM silver.patients")
    assert server.rows(analyst, "SELECT count(*) FROM silver.patients WHERE tenant_id <> %s", [tenant]) == [(0,)]
    assert server.rows(
        analyst, "SELECT count(*) FROM silver.patients WHERE tenant_id = %s OR true", [tenant]
    ) == server.rows(analyst, "SELECT count(*) FROM silver.patients")


@pytest.mark.parametrize("person", READERS)
def test_bronze_does_not_exist(server, person):
    (hidden,) = server.rows(
        "stella",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'bronze' ORDER BY 1 LIMIT 1",
    )
    there = refused(server, person, f"SELECT * FROM bronze.{hidden[0]}")
    missing = refused(server, person, "SELECT * FROM bronze.no_such_table")
    nowhere = refused(server, person, "SELECT * FROM no_such_schema.no_such_table")
    assert there.sqlstate == missing.sqlstate == nowhere.sqlstate == "42P01"
    shape = there.diag.message_primary.replace(f"bronze.{hidden[0]}", "X")
    assert shape == missing.diag.message_primary.replace("bronze.no_such_table", "X")
    assert shape == nowhere.diag.message_primary.replace("no_such_schema.no_such_table", "X")
    schemas = {schema for (schema,) in server.rows(person, "SELECT nspname FROM pg_catalog.pg_namespace")}
    assert "bronze" not in schemas
    assert server.rows(
        person, "SELECT * FROM information_schema.columns WHERE table_schema = 'bronze'"
    ) == []


def test_the_operator_administers_but_does_not_read(server):
    error = refused(server, "oscar", "SELECT * FROM silver.patients")
    assert error.sqlstate == "42501"
    assert refused(server, "oscar", PATIENTS).sqlstate == "42501"
    plan = "\n".join(str(row) for row in server.rows("oscar", f"EXPLAIN {PATIENTS}"))
    assert "patients" in plan.lower()
    assert server.value("oscar", "SELECT count(*) FROM system.policies") > 0
    assert server.value("oscar", "SELECT count(*) FROM system.queries") > 0


@pytest.mark.parametrize("person", READERS)
def test_policies_are_for_operators(server, person):
    assert refused(server, person, "SELECT * FROM system.policies").sqlstate == "42P01"


def test_queries_are_ones_own_but_for_the_operator(server):
    column = "user_name"
    with server.connect("alice") as alice, server.connect("bob") as bob:
        assert {user for (user,) in alice.execute(f"SELECT {column} FROM system.queries")} == {"alice"}
        assert {user for (user,) in bob.execute(f"SELECT {column} FROM system.queries")} == {"bob"}
        alice.execute("SELECT count(*) FROM silver.patients").fetchall()
    users = {user for (user,) in server.rows("oscar", f"SELECT {column} FROM system.queries")}
    assert "oscar" in users


def test_the_data_scientist_sees_tokens_that_join(server):
    real = {number for (number,) in server.rows("stella", "SELECT patient_id FROM silver.patients")}
    tokens = [token for (token,) in server.rows("dana", "SELECT patient_id FROM silver.patients")]
    assert len(tokens) == len(set(tokens)) == len(real), "one token for each patient"
    assert not real & set(tokens)
    again = [token for (token,) in server.rows("dana", "SELECT patient_id FROM silver.patients")]
    assert sorted(tokens) == sorted(again), "the same token each time"
    joined = "SELECT count(*), count(DISTINCT patient_id) FROM silver.patients JOIN silver.encounters USING (patient_id)"
    assert server.rows("dana", joined) == server.rows("stella", joined)
    # What one writes meets the token, never the number behind it.
    number = next(iter(real))
    assert server.value("dana", "SELECT count(*) FROM silver.patients WHERE patient_id = %s", [number]) == 0
    assert server.value("dana", "SELECT count(*) FROM silver.patients WHERE patient_id = %s", [tokens[0]]) == 1


def test_the_data_scientist_sees_coarse_values(server):
    everyone = server.value("dana", "SELECT count(*) FROM silver.patients")
    assert everyone == 1000, "of all tenants"
    assert server.rows("dana", "SELECT count(given_name), count(family_name), count(email), count(town) FROM silver.patients") == [(0, 0, 0, 0)]
    births = server.rows("dana", "SELECT DISTINCT birth_date FROM silver.patients")
    assert len(births) > 20 and all((born.month, born.day) == (1, 1) for (born,) in births)
    years = "SELECT EXTRACT(year FROM birth_date), count(*) FROM silver.patients GROUP BY 1 ORDER BY 1"
    assert server.rows("dana", years) == server.rows("stella", years)
    outward = {code for (code,) in server.rows("dana", "SELECT DISTINCT postcode FROM silver.patients WHERE postcode IS NOT NULL")}
    real = {code.split(" ")[0] for (code,) in server.rows("stella", "SELECT DISTINCT postcode FROM silver.patients WHERE postcode IS NOT NULL")}
    assert outward == real and outward
    areas = {code for (code,) in server.rows("dana", "SELECT DISTINCT zip_code FROM silver.patients WHERE zip_code IS NOT NULL")}
    assert areas and all(len(area) == 3 for area in areas)
    assert server.rows("dana", "SELECT DISTINCT family_name FROM silver.practitioners") == [("withheld",)]


def test_analysts_see_the_last_digits(server):
    shown = dict(server.rows("alice", "SELECT patient_id, nhs_number FROM silver.patients WHERE nhs_number IS NOT NULL"))
    real = dict(server.rows("stella", "SELECT patient_id, nhs_number FROM silver.patients WHERE nhs_number IS NOT NULL"))
    assert shown
    for patient, number in shown.items():
        assert number == "*" * (len(real[patient]) - 4) + real[patient][-4:]
    assert server.rows("alice", "SELECT count(phone), count(email), count(address_line) FROM silver.patients") == [(0, 0, 0)]


def test_the_partner_sees_aggregates_of_their_tenant(server):
    for table in ("no_show_rates", "monthly_revenue_by_doctor", "blood_pressure_control", "claims_ageing"):
        mine = server.value("parker", f"SELECT count(*) FROM gold.{table}")
        assert mine == server.value("stella", f"SELECT count(*) FROM gold.{table} WHERE tenant_id = 'lakeside'") > 0
    assert server.rows("parker", "SELECT DISTINCT practitioner_name FROM gold.monthly_revenue_by_doctor") == [("withheld",)]
    assert refused(server, "parker", "SELECT * FROM silver.patients").sqlstate == "42P01"


def test_a_principal_cannot_become_another(server):
    for statement in ("SET ROLE stella", "SET SESSION AUTHORIZATION stella", "SET tenant = 'x'"):
        error = refused(server, "alice", statement)
        assert error.sqlstate in ("42501", "42704", "0A000", "42601"), statement
    with server.connect("alice", options="-c role=stella -c tenant=x", application_name="stella") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("alice",)
        assert connection.execute("SELECT count(DISTINCT tenant_id) FROM silver.patients").fetchone() == (1,)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO silver.patients SELECT * FROM silver.patients",
        "DELETE FROM silver.patients",
        "UPDATE silver.patients SET sex = 'x'",
        "DROP TABLE silver.patients",
        "CREATE TABLE silver.copy AS SELECT 1 AS one",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "COPY silver.patients TO '/tmp/out.csv'",
        "CREATE FUNCTION f() RETURNS int RETURN 1",
        "SELECT * FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
@pytest.mark.parametrize("person", ["alice", "stella", "oscar"])
def test_nothing_writes_and_no_file_is_reached(server, person, statement):
    error = refused(server, person, statement)
    assert error.sqlstate in ("42501", "25006", "0A000", "42601", "42P01", "42883"), (
        error.sqlstate,
        error.diag.message_primary,
    )
