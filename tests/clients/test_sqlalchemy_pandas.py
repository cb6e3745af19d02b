"""SQLAlchemy's inspector and queries, and pandas on top of it."""

import datetime

import pandas
import pytest
import sqlalchemy as sa

DRIVERS = ("psycopg", "psycopg2")


@pytest.fixture(params=DRIVERS)
def engine(server, request):
    engine = sa.create_engine(server.url("alice", request.param))
    yield engine
    engine.dispose()


def test_the_inspector_shows_what_may_be_seen(server, engine):
    inspector = sa.inspect(engine)
    schemas = set(inspector.get_schema_names())
    assert {"silver", "gold"} <= schemas and "bronze" not in schemas
    tables = set(inspector.get_table_names(schema="silver"))
    assert {"patients", "encounters", "appointments", "claims"} <= tables
    assert inspector.has_table("patients", schema="silver")
    assert not inspector.has_table("no_such_table", schema="silver")
    assert inspector.get_table_names(schema="bronze") == []
    assert inspector.get_view_names(schema="silver") == []


def test_the_inspector_describes_columns(engine):
    inspector = sa.inspect(engine)
    columns = {column["name"]: column for column in inspector.get_columns("patients", schema="silver")}
    assert isinstance(columns["birth_date"]["type"], sa.Date)
    assert isinstance(columns["nhs_number"]["type"], sa.String)
    assert inspector.get_pk_constraint("patients", schema="silver")["constrained_columns"] == []
    assert inspector.get_foreign_keys("patients", schema="silver") == []
    assert inspector.get_indexes("patients", schema="silver") == []
    assert inspector.get_unique_constraints("patients", schema="silver") == []
    assert inspector.get_check_constraints("patients", schema="silver") == []
    assert inspector.get_table_comment("patients", schema="silver")["text"]
    with pytest.raises(sa.exc.NoSuchTableError):
        inspector.get_columns("patients", schema="bronze")


def test_reflected_tables_can_be_queried(engine):
    metadata = sa.MetaData()
    metadata.reflect(engine, schema="silver", only=["patients", "encounters"])
    patients = metadata.tables["silver.patients"]
    with engine.connect() as connection:
        everyone = connection.scalar(sa.select(sa.func.count()).select_from(patients))
        older = connection.scalar(
            sa.select(sa.func.count()).where(patients.c.birth_date < datetime.date(1970, 1, 1)).select_from(patients)
        )
        assert 0 < older < everyone
        named = connection.execute(
            sa.select(patients.c.nhs_number, sa.literal("x").label("mark"))
            .where(patients.c.birth_date.between(datetime.date(1950, 1, 1), datetime.date(1980, 1, 1)))
            .order_by(patients.c.patient_id)
            .limit(5)
        ).all()
        assert len(named) == 5 and all(row.mark == "x" for row in named)


def test_pool_and_transactions(engine):
    for _ in range(3):
        with engine.begin() as connection:
            assert connection.execute(sa.text("SELECT :n + 1"), {"n": 1}).scalar() == 2
    with engine.connect() as connection:
        with pytest.raises(sa.exc.ProgrammingError):
            connection.execute(sa.text("SELECT * FROM nowhere.nothing"))
        connection.rollback()
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1


def test_pandas_reads_a_query(engine):
    frame = pandas.read_sql(
        sa.text("SELECT nhs_number, birth_date, tenant_id FROM silver.patients WHERE birth_date >= :born"),
        engine,
        params={"born": datetime.date(1960, 1, 1)},
        parse_dates=["birth_date"],
    )
    assert list(frame.columns) == ["nhs_number", "birth_date", "tenant_id"]
    assert len(frame) > 0
    assert (frame.birth_date >= "1960-01-01").all()
    assert frame.tenant_id.nunique() == 1


def test_pandas_reads_in_chunks(engine):
    with engine.connect() as connection:
        total = connection.execute(sa.text("SELECT count(*) FROM silver.encounters")).scalar()
        chunks = pandas.read_sql("SELECT * FROM silver.encounters", connection, chunksize=500)
        assert sum(len(chunk) for chunk in chunks) == total > 0


def test_pandas_reads_a_table(engine):
    frame = pandas.read_sql_table("patients", engine, schema="silver")
    with engine.connect() as connection:
        assert len(frame) == connection.execute(sa.text("SELECT count(*) FROM silver.patients")).scalar()


def test_pandas_agrees_with_sql(engine):
    frame = pandas.read_sql("SELECT sex, birth_date FROM silver.patients", engine)
    with engine.connect() as connection:
        by_sql = {sex: n for sex, n in connection.execute(sa.text("SELECT sex, count(*) FROM silver.patients GROUP BY sex"))}
    assert frame.groupby("sex", dropna=False).size().to_dict() == by_sql
