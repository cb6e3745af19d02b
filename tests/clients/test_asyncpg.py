"""asyncpg speaks only the extended protocol, only in binary, and introspects types."""

import asyncio
import datetime

import asyncpg
import pytest
from server import ENDLESS, password


def run(server, work, person="alice"):
    async def session():
        connection = await asyncpg.connect(
            host="127.0.0.1",
            port=server.postgres_port,
            user=person,
            password=password(person),
            database="lakeward",
        )
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(session())


def test_queries_with_parameters(server):
    async def work(connection):
        total = await connection.fetchval("SELECT count(*) FROM silver.patients")
        older = await connection.fetchval(
            "SELECT count(*) FROM silver.patients WHERE birth_date < $1", datetime.date(1970, 1, 1)
        )
        assert 0 < older < total
        rows = await connection.fetch("SELECT * FROM silver.patients ORDER BY patient_id LIMIT 10")
        assert len(rows) == 10 and isinstance(rows[0]["birth_date"], datetime.date)
        assert await connection.fetchrow("SELECT $1::int + 1, $2::text, $3::boolean", 41, "x", None) == (42, "x", None)

    run(server, work)


def test_prepared_statements(server):
    async def work(connection):
        statement = await connection.prepare("SELECT count(*) FROM silver.patients WHERE birth_date >= $1")
        assert [parameter.name for parameter in statement.get_parameters()] == ["date"]
        assert [attribute.type.name for attribute in statement.get_attributes()] == ["int8"]
        counts = [await statement.fetchval(datetime.date(year, 1, 1)) for year in (1940, 1970, 2000)]
        assert counts == sorted(counts, reverse=True)

    run(server, work)


def test_a_cursor_fetches_in_portions(server):
    async def work(connection):
        expected = await connection.fetch("SELECT patient_id FROM silver.patients ORDER BY patient_id")
        async with connection.transaction():
            seen = []
            cursor = connection.cursor("SELECT patient_id FROM silver.patients ORDER BY patient_id", prefetch=37)
            async for row in cursor:
                seen.append(row)
        assert seen == expected

    run(server, work)


def test_a_timeout_cancels(server):
    async def work(connection):
        with pytest.raises(asyncio.TimeoutError):
            await connection.fetch(ENDLESS, timeout=0.5)
        assert await connection.fetchval("SELECT 1") == 1

    run(server, work)


def test_errors(server):
    async def work(connection):
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.fetch("SELECT * FROM bronze.anything")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await connection.fetch("SELECT 1/(count(*)-count(*)) FROM silver.patients")
        assert await connection.fetchval("SELECT 1") == 1

    run(server, work)


def test_a_wrong_password(server):
    async def session():
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(
                host="127.0.0.1", port=server.postgres_port, user="alice", password="wrong", database="lakeward"
            )

    asyncio.run(session())
