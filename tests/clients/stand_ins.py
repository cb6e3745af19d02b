"""Stand-ins for the providers: moto for S3, IAM and STS, Azurite for Azure Blob Storage. Each is a process of its own
on a free port and lasts as long as the test session.

moto checks signatures and policies as IAM does, so a wrong key, a revoked one or a missing permission is refused."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from arro3.core import Table
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from botocore.config import Config
from deltalake import write_deltalake
from server import REPOSITORY, free_port

REGION = "eu-west-2"
START_DEADLINE_SECONDS = 30
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class StandIn:
    """A process that listens on `port` of this machine."""

    def __init__(self, command, log: Path, env=None):
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **(env or {})},
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while not self.listens():
            assert self.process.poll() is None, f"it ended:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"it does not listen:\n{log.read_text()}"
            time.sleep(0.05)

    def listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        self.process.kill()
        self.process.wait()


class Moto(StandIn):
    """Amazon: S3, IAM and STS.

    Where signatures are not `checked`, whoever comes may do everything: moto does not know a space in a query in the
    form that clients send and S3 takes (`+`)."""

    def __init__(self, directory: Path, checked=True):
        self.port = free_port()
        # Nobody is checked until the first administrator is there; then everybody.
        super().__init__(
            [sys.executable, "-m", "moto.server", "-p", str(self.port)],
            directory / "moto.log",
            env={"INITIAL_NO_AUTH_ACTION_COUNT": "1000000"},
        )
        self.key = ("bootstrap", "bootstrap")
        self.key = self.user("administrator", EVERYTHING)
        if not checked:
            return
        request = urllib.request.Request(
            f"{self.endpoint}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(request, timeout=10).read()

    def client(self, service: str):
        key_id, secret = self.key
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}),
        )

    def bucket(self, name: str) -> str:
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def user(self, name: str, policy) -> tuple[str, str]:
        """A user with this policy; id and secret of an access key."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        return self.new_key(name)

    def new_key(self, user: str) -> tuple[str, str]:
        key = self.client("iam").create_access_key(UserName=user)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def revoke(self, user: str, key_id: str):
        self.client("iam").delete_access_key(UserName=user, AccessKeyId=key_id)

    def role(self, name: str, policy) -> str:
        """A role that anyone may take on; its ARN."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
        }
        iam = self.client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        return role["Arn"]

    def write(self, url: str, columns: dict, **options):
        """Writes a Delta table, as other tools of a lake do."""
        key_id, secret = self.key
        storage = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": REGION,
        }
        write_deltalake(url, Table.from_pydict(columns), storage_options=storage, **options)


def reading(bucket: str, prefix="") -> dict:
    """The least that reading tables needs: docs/stores.md says the same."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/{prefix}*"},
        ],
    }


class Azurite(StandIn):
    """Azure Blob Storage."""

    ACCOUNT = "devstoreaccount1"
    KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    def __init__(self, directory: Path):
        self.port = free_port()
        program = REPOSITORY / ".venv" / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        super().__init__(
            ["node", program]
            + ["--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
            + ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"],
            directory / "azurite.log",
        )
        self.service = BlobServiceClient(
            self.account_endpoint, credential={"account_name": self.ACCOUNT, "account_key": self.KEY}
        )

    @property
    def account_endpoint(self) -> str:
        return f"{self.endpoint}/{self.ACCOUNT}"

    def container(self, name: str) -> str:
        self.service.create_container(name)
        return name

    def signature(self, container: str, expiry) -> str:
        """A shared access signature that may list and read."""
        return generate_container_sas(
            self.ACCOUNT,
            container,
            account_key=self.KEY,
            permission=ContainerSasPermissions(read=True, list=True),
            expiry=expiry,
        )

    def write(self, url: str, columns: dict, **options):
        storage = {
            "azure_storage_account_name": self.ACCOUNT,
            "azure_storage_account_key": self.KEY,
            "azure_storage_endpoint": self.account_endpoint,
            "allow_http": "true",
        }
        write_deltalake(url, Table.from_pydict(columns), storage_options=storage, **options)


def write_local(folder: Path, columns: dict, **options):
    write_deltalake(str(folder), Table.from_pydict(columns), **options)
