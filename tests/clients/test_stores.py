"""Tables on S3, Azure, Google Cloud Storage and local disk, all in one catalog."""

import json
import uuid

import pytest
from arro3.core import Array, DataType, Table
from deltalake import ColumnProperties, DeltaTable, WriterProperties, write_deltalake
from identity_services import GoogleGate, ServiceAccount
from server import eventually, lakeward
from sites import REQUESTS, write_secret
from stand_ins import REGION, Azurite, reading, write_local

TENANTS = ["northgate", "lakeside", "northgate", "harbourview"]


def patients(first: int) -> dict:
    ids = range(first, first + len(TENANTS))
    return {
        "patient_id": Array([f"P{n:04}" for n in ids], DataType.utf8()),
        "tenant_id": Array(TENANTS, DataType.utf8()),
        "visits": Array(list(ids), DataType.int64()),
    }


def fresh() -> str:
    """A name for a bucket or container that no other test has."""
    return f"lake-{uuid.uuid4().hex[:12]}"


def s3_settings(moto, bucket: str, directory, key=None, endpoint=None, **s3) -> dict:
    key_id, secret = key or moto.key
    return {
        "location": f"s3://{bucket}/",
        "allow_http": True,
        "requests": REQUESTS,
        "s3": {
            "endpoint": endpoint or moto.endpoint,
            "region": REGION,
            "access_key_id": write_secret(directory / f"{bucket}.id", key_id),
            "secret_access_key": write_secret(directory / f"{bucket}.secret", secret),
            **s3,
        },
    }


def azure_settings(azurite, location: str, directory, **azure) -> dict:
    return {
        "location": location,
        "allow_http": True,
        "requests": REQUESTS,
        "azure": {
            "account": Azurite.ACCOUNT,
            "endpoint": azurite.account_endpoint,
            "access_key": write_secret(directory / "azure.key", Azurite.KEY),
            **azure,
        },
    }


def gcs_settings(gate, account, bucket: str, directory) -> dict:
    return {
        "location": f"gs://{bucket}/",
        "allow_http": True,
        "requests": REQUESTS,
        "gcs": {
            "endpoint": gate.endpoint,
            "service_account_key": write_secret(directory / "gcs.json", account.json),
        },
    }


class FourStores:
    """One table `patients` in each of four stores, each with other rows; `write` adds tables to one."""

    def __init__(self, moto, azurite, proxies, tmp_path):
        secrets = tmp_path / "secrets"
        account = ServiceAccount()
        self.gate = proxies(GoogleGate, moto, account)
        self.bucket, self.google, self.container = moto.bucket(fresh()), moto.bucket(fresh()), azurite.container(fresh())
        disk = tmp_path / "disk"
        self.layers = {
            "s3": f"s3://{self.bucket}/lake/silver",
            "azure": f"abfss://{self.container}@{Azurite.ACCOUNT}.dfs.core.windows.net/lake/silver",
            "google": f"gs://{self.google}/lake/silver",
            "disk": str(disk),
        }
        self.stores = {
            "amazon": s3_settings(moto, self.bucket, secrets),
            "microsoft": azure_settings(azurite, "abfss://", secrets),
            "google": gcs_settings(self.gate, account, self.google, secrets),
        }
        self.writers = {
            "s3": lambda name, table, **o: moto.write(f"s3://{self.bucket}/lake/silver/{name}", table, **o),
            "azure": lambda name, table, **o: azurite.write(f"az://{self.container}/lake/silver/{name}", table, **o),
            "google": lambda name, table, **o: moto.write(f"s3://{self.google}/lake/silver/{name}", table, **o),
            "disk": lambda name, table, **o: write_local(disk / name, table, **o),
        }
        self.disk, self.moto, self.azurite = disk, moto, azurite
        for n, schema in enumerate(self.layers):
            self.write(schema, "patients", patients(10 * n))

    def write(self, schema: str, name: str, table: dict, **options):
        self.writers[schema](name, table, **options)

    def upload(self, schema: str, name: str, folder):
        """A table that was written elsewhere: for names that the writer cannot cope with."""
        for path in folder.rglob("*"):
            if not path.is_file():
                continue
            key = f"lake/silver/{name}/{path.relative_to(folder)}"
            match schema:
                case "disk":
                    target = self.disk / name / path.relative_to(folder)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(path.read_bytes())
                case "azure":
                    blob = self.azurite.service.get_blob_client(self.container, key)
                    blob.upload_blob(path.read_bytes(), overwrite=True)
                case _:
                    bucket = self.bucket if schema == "s3" else self.google
                    self.moto.client("s3").put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


@pytest.fixture
def four(moto, azurite, proxies, tmp_path):
    return FourStores(moto, azurite, proxies, tmp_path)


@pytest.fixture
def four_for_odd_names(unchecked_moto, azurite, proxies, tmp_path):
    return FourStores(unchecked_moto, azurite, proxies, tmp_path)


def test_four_stores_at_once(four, sites):
    server = sites.start(layers=four.layers, stores=four.stores)
    for n, schema in enumerate(four.layers):
        rows = server.rows("stella", f"SELECT patient_id, visits FROM {schema}.patients ORDER BY visits")
        assert rows == [(f"P{10 * n + i:04}", 10 * n + i) for i in range(4)], schema
    # In one statement, under one policy.
    union = " UNION ALL ".join(f"SELECT tenant_id, visits FROM {schema}.patients" for schema in four.layers)
    sql = f"SELECT tenant_id, count(*), sum(visits) FROM ({union}) AS everywhere GROUP BY tenant_id ORDER BY tenant_id"
    assert server.rows("stella", sql) == [("harbourview", 4, 72), ("lakeside", 4, 64), ("northgate", 8, 128)]
    assert server.rows("alice", sql) == [("northgate", 8, 128)]
    join = "SELECT count(*) FROM s3.patients a JOIN azure.patients b USING (tenant_id) JOIN google.patients c USING (tenant_id)"
    assert server.value("stella", join) == 10
    assert server.value("alice", join) == 8


def test_new_versions_and_tables_appear(four, sites):
    server = sites.start(layers=four.layers, stores=four.stores)
    for schema in four.layers:
        assert server.value("stella", f"SELECT count(*) FROM {schema}.patients") == 4
        four.write(schema, "patients", patients(100), mode="append")
        four.write(schema, "wards", patients(200))
    for schema in four.layers:
        eventually(lambda: server.value("stella", f"SELECT count(*) FROM {schema}.patients") == 8, f"{schema}: a commit")
        eventually(
            lambda: server.rows("oscar", f"SELECT 1 FROM system.tables WHERE table_schema = '{schema}' AND table_name = 'wards'"),
            f"{schema}: a new table",
        )
        assert server.value("stella", f"SELECT sum(visits) FROM {schema}.wards") == 806


ODD = ["plain", "two words", "50% off", "a%20b", "a b", "tilde~caret^", "plus+hash#", "é{ü}", "q?&=;", "100%25"]


@pytest.mark.parametrize("schema", ["s3", "azure", "google", "disk"])
def test_odd_names(four_for_odd_names, sites, tmp_path, schema):
    """Names that look like each other when they are encoded or decoded once too often are different tables."""
    four = four_for_odd_names
    for n, name in enumerate(ODD):
        values = {"n": Array([n, n], DataType.int64()), "part": Array([name, f"{name}/x y"], DataType.utf8())}
        write_local(tmp_path / f"odd-{n}", values, partition_by=["part"])
        four.upload(schema, name, tmp_path / f"odd-{n}")
    server = sites.start(layers=four.layers, stores=four.stores)
    for n, name in enumerate(ODD):
        rows = server.rows("stella", f'SELECT part, n FROM {schema}."{name}" ORDER BY part')
        assert rows == [(name, n), (f"{name}/x y", n)], name
        where = f"SELECT n FROM {schema}.\"{name}\" WHERE part = '{name}/x y'"
        assert server.rows("stella", where) == [(n,)], name


@pytest.mark.parametrize("schema", ["s3", "azure", "google", "disk"])
@pytest.mark.parametrize("name", ["wards", "50% of a%20b"])
def test_checkpoints(four_for_odd_names, sites, tmp_path, schema, name):
    four = four_for_odd_names
    folder = tmp_path / "written"
    for n in range(12):
        write_local(folder, patients(10 * n), mode="append")
    DeltaTable(str(folder)).create_checkpoint()
    assert list(folder.glob("_delta_log/*.checkpoint.parquet")) and (folder / "_delta_log/_last_checkpoint").exists()
    write_local(folder, patients(500), mode="append")
    for commit in range(11):
        (folder / "_delta_log" / f"{commit:020}.json").unlink()
    four.upload(schema, name, folder)
    server = sites.start(layers=four.layers, stores=four.stores)
    sql = f'SELECT count(*) FROM {schema}."{name}"'
    assert server.value("stella", sql) == 52
    write_local(folder, patients(600), mode="append")
    four.upload(schema, name, folder)
    eventually(lambda: server.value("stella", sql) == 56, "a commit after the checkpoint")


def test_a_whole_bucket_is_a_layer_and_a_url_is_a_table(moto, sites, tmp_path):
    bucket = moto.bucket(fresh())
    moto.write(f"s3://{bucket}/wards", patients(0))
    moto.write(f"s3://{bucket}/deep/down/beds", patients(10))
    server = sites.start(
        layers={"all": f"s3://{bucket}"},
        tables=[{"schema": "elsewhere", "name": "beds", "location": f"s3://{bucket}/deep/down/beds"}],
        stores={"lake": s3_settings(moto, bucket, tmp_path / "secrets")},
    )
    assert server.value("stella", 'SELECT sum(visits) FROM "all".wards') == 6
    assert server.value("stella", "SELECT sum(visits) FROM elsewhere.beds") == 46


def test_parts_of_a_bucket_have_settings_of_their_own(moto, sites, tmp_path):
    """Each part with a key that may read that part alone."""
    bucket = moto.bucket(fresh())
    moto.write(f"s3://{bucket}/silver/wards", patients(0))
    moto.write(f"s3://{bucket}/gold/wards", patients(10))
    keys = {part: moto.user(f"{bucket}-{part}", reading(bucket, f"{part}/")) for part in ("silver", "gold")}
    stores = {}
    for part, key in keys.items():
        settings = s3_settings(moto, bucket, tmp_path / part, key=key)
        stores[f"only_{part}"] = {**settings, "location": f"s3://{bucket}/{part}/"}
    server = sites.start(
        layers={"silver": f"s3://{bucket}/silver", "gold": f"s3://{bucket}/gold"}, stores=stores
    )
    assert server.value("stella", "SELECT sum(visits) FROM silver.wards") == 6
    assert server.value("stella", "SELECT sum(visits) FROM gold.wards") == 46


def test_copies_of_a_lake_are_read_with_their_own_footers(moto, sites, tmp_path):
    """Two buckets with objects of the same names, sizes and times: what is known of one says nothing of the other."""
    ours, theirs = moto.bucket(fresh()), moto.bucket(fresh())
    s3 = moto.client("s3")
    contents = {}
    for bucket, first in ((ours, 1000), (theirs, 5000)):
        folder = tmp_path / bucket
        ids = list(range(first, first + 100))
        # Nothing that depends on the values may change the size: no compression, no dictionary.
        plain = WriterProperties(
            compression="UNCOMPRESSED", default_column_properties=ColumnProperties(dictionary_enabled=False)
        )
        table = Table.from_pydict({"n": Array(ids, DataType.int64())})
        write_deltalake(str(folder), table, writer_properties=plain)
        (data,) = folder.glob("*.parquet")
        log = (folder / "_delta_log" / "00000000000000000000.json").read_text()
        contents[bucket] = (data.read_bytes(), log.replace(data.name, "part-0.parquet"))
    assert len(contents[ours][0]) == len(contents[theirs][0])

    def upload():
        for bucket, (data, _) in contents.items():
            s3.put_object(Bucket=bucket, Key="t/part-0.parquet", Body=data)
        times = {s3.head_object(Bucket=bucket, Key="t/part-0.parquet")["LastModified"] for bucket in contents}
        return len(times) == 1

    eventually(upload, "both within one second")
    for bucket, (_, log) in contents.items():
        s3.put_object(Bucket=bucket, Key="t/_delta_log/00000000000000000000.json", Body=log.encode())
    server = sites.start(
        layers={"ours": f"s3://{ours}", "theirs": f"s3://{theirs}"},
        stores={name: s3_settings(moto, bucket, tmp_path / "secrets") for name, bucket in (("a", ours), ("b", theirs))},
    )
    assert server.value("stella", "SELECT count(*) FROM ours.t WHERE n = 1050") == 1
    assert server.value("stella", "SELECT count(*) FROM theirs.t WHERE n = 5050") == 1
    assert server.rows("stella", "SELECT min(n), max(n) FROM theirs.t") == [(5000, 5099)]


def test_config_check_says_what_is_there_and_what_is_wrong(moto, sites, tmp_path):
    bucket = moto.bucket(fresh())
    moto.write(f"s3://{bucket}/wards", patients(0))
    settings = s3_settings(moto, bucket, tmp_path / "secrets")
    site = sites.make(layers={"silver": f"s3://{bucket}"}, stores={"lake": settings})
    run = lakeward("config", "check", "--config", site / "lakeward.yaml")
    assert run.returncode == 0 and "silver (1)" in run.stdout + run.stderr, run.stderr

    def problems(**changes):
        changed = {**settings, **changes}
        configuration = json.loads((site / "lakeward.yaml").read_text())
        configuration["stores"]["lake"] = changed
        (site / "changed.yaml").write_text(json.dumps(configuration, indent=2))
        run = lakeward("config", "check", "--config", site / "changed.yaml")
        assert run.returncode == 2, run.stderr
        return run.stderr

    assert "allow_http" in problems(allow_http=False)
    assert "`regoin`" in problems(s3={**settings["s3"], "regoin": "x"})
    inline = problems(s3={**settings["s3"], "secret_access_key": "hunter2hunter2"})
    assert "a reference to a secret" in inline and "hunter2" not in inline
    assert "cannot read secret file" in problems(s3={**settings["s3"], "secret_access_key": "file:nowhere"})
    wrong = write_secret(tmp_path / "wrong", "x" * 40)
    refused = problems(s3={**settings["s3"], "secret_access_key": wrong})
    assert "layer silver" in refused and "access denied" in refused and "SignatureDoesNotMatch" in refused
    assert moto.key[1] not in refused
