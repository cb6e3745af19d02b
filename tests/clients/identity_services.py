"""What gives tokens out, and what takes Google's: small services of the providers that no stand-in has."""

import base64
import json
import time
import urllib.parse

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from fault_proxy import Answer, Proxy, Request
from stand_ins import REGION

DENIED = b"<Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.</Message></Error>"


def signed(request: Request, port: int, key: tuple[str, str], service: str) -> Request:
    """The request as the holder of `key` would send it to moto."""
    url = f"http://127.0.0.1:{port}{request.path}"
    kept = ("range", "if-match", "if-none-match", "content-type")
    headers = {name: value for name, value in request.headers.items() if name in kept}
    to_sign = AWSRequest(request.method, url, data=request.body, headers=headers)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(Credentials(*key), service, REGION).add_auth(to_sign)
    headers = {name.lower(): value for name, value in to_sign.headers.items()}
    return Request(request.method, request.path, {**headers, "host": f"127.0.0.1:{port}"}, request.body)


class EntraId(Proxy):
    """Microsoft Entra ID and the instance metadata service: gives a bearer token for the right proof.

    `secret` is the client secret that is in force, `assertion` the platform's token."""

    def __init__(self, secret="", assertion=""):
        super().__init__(upstream_port=0)
        self.secret, self.assertion = secret, assertion
        self.token = "entra-token-1"

    def pass_on(self, request: Request) -> Answer:
        if request.method == "GET" and request.path.startswith("/metadata/identity/oauth2/token"):
            good = request.headers.get("metadata") == "true" and "client_id=machine" in request.path
            answer = {"access_token": self.token, "expires_on": str(int(time.time()) + 3600)}
        else:
            form = dict(urllib.parse.parse_qsl(request.body.decode()))
            good = request.path == "/tenant-1/oauth2/v2.0/token" and form.get("client_id") == "client-1"
            good = good and "storage.azure.com" in form.get("scope", "")
            if "client_assertion" in form:
                good = good and form["client_assertion"].strip() == self.assertion
            else:
                good = good and form.get("client_secret") == self.secret
            answer = {"access_token": self.token, "token_type": "Bearer", "expires_in": 3600}
        if not good:
            return Answer(401, json.dumps({"error": "invalid_client"}).encode())
        return Answer(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})


class BearerGate(Proxy):
    """Azurite behind bearer tokens: what Azure checks with Entra ID is checked here, the rest is Azurite's."""

    def __init__(self, azurite, entra: EntraId, signature: str):
        super().__init__(azurite.port)
        self.entra, self.signature = entra, signature

    def pass_on(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {self.entra.token}":
            return Answer(403, DENIED, {"x-ms-error-code": "AuthenticationFailed"})
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        path = f"{request.path}{'&' if '?' in request.path else '?'}{self.signature}"
        return super().pass_on(Request(request.method, path, headers, request.body))


class ServiceAccount:
    """A service account of Google's: `json` is the key that Google would give."""

    def __init__(self, email="lake-reader@project.iam.gserviceaccount.com"):
        self.email = email
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.json = json.dumps(
            {
                "type": "service_account",
                "client_email": email,
                "private_key_id": "key-1",
                "private_key": pem.decode(),
                "token_uri": "https://oauth2.googleapis.com/token",
            }
        )

    def signed(self, token: str) -> bool:
        """Whether the account signed this token, and it is in force."""
        try:
            message, signature = token.rsplit(".", 1)
            claims = json.loads(base64.urlsafe_b64decode(message.split(".")[1] + "=="))
            self.key.public_key().verify(
                base64.urlsafe_b64decode(signature + "=="), message.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, IndexError, InvalidSignature):
            return False
        return claims["iss"] == self.email and claims["exp"] > time.time()


class GoogleGate(Proxy):
    """Google Cloud Storage's XML API over moto: it has the form of S3's, so that what differs is who asks.

    (gcp-storage-emulator, the one on PyPI, has the JSON API only.)"""

    def __init__(self, moto, account: ServiceAccount):
        super().__init__(moto.port)
        self.key, self.account = moto.key, account

    def pass_on(self, request: Request) -> Answer:
        if not self.account.signed(request.headers.get("authorization", "").removeprefix("Bearer ")):
            return Answer(401, b"<Error><Code>AuthenticationRequired</Code></Error>")
        # Google takes an encoded bucket for what it means; moto takes it literally.
        bucket, separator, rest = request.path[1:].partition("/" if "/" in request.path[1:] else "?")
        request.path = f"/{urllib.parse.unquote(bucket)}{separator}{rest}"
        return super().pass_on(signed(request, self.upstream_port, self.key, "s3"))


class WebIdentityGate(Proxy):
    """STS for web identities over moto's: the token that the platform gave is checked here."""

    def __init__(self, moto, token: str):
        super().__init__(moto.port)
        self.key, self.token = moto.key, token

    def pass_on(self, request: Request) -> Answer:
        form = dict(urllib.parse.parse_qsl(request.body.decode()))
        if form.get("Action") != "AssumeRoleWithWebIdentity" or form.get("WebIdentityToken") != self.token:
            return Answer(400, b"<ErrorResponse><Error><Code>InvalidIdentityToken</Code></Error></ErrorResponse>")
        return super().pass_on(signed(request, self.upstream_port, self.key, "sts"))
