//! Sessions from AWS STS: roles taken on with other credentials or with a web identity.
//!
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>,
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, StatusCode};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::Serializer;

use super::connection::Connection;
use super::credentials::{CredentialError, Issued, Issuer, PlatformFile, Provider, Renew, read_all};
use super::failure::code;
use super::options::{S3Role, Secret};

const API_VERSION: &str = "2011-06-15";

/// Sessions are renewed this long before they end, or when three quarters of them have passed.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// A session that was refused is replaced at most this often.
const REPLACE_AFTER: Duration = Duration::from_secs(10);

/// Longer answers are not read.
const ANSWER_LIMIT: usize = 256 * 1024;

/// What proves to STS who asks for the role.
pub(super) enum Proof {
    /// Other credentials, which sign the request.
    Signed {
        credentials: Provider<AwsCredential>,
        /// None where they never change under our eyes.
        renew: Option<Arc<dyn Renew>>,
    },
    /// A token that the platform puts into a file, read each time.
    WebIdentity(PlatformFile),
}

/// Gives out sessions of a role.
pub(super) struct RoleIssuer {
    role: S3Role,
    region: String,
    endpoint: Url,
    proof: ProofSource,
    client: HttpClient,
    connection: Connection,
}

enum ProofSource {
    Signed { credentials: Provider<AwsCredential>, renew: Option<Arc<dyn Renew>> },
    WebIdentity(Secret),
}

impl RoleIssuer {
    pub(super) fn new(
        role: &S3Role,
        region: &str,
        proof: Proof,
        connection: &Connection,
    ) -> Result<Self, String> {
        let endpoint = match &role.sts_endpoint {
            Some(endpoint) => endpoint.clone(),
            None => {
                let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                Url::parse(&format!("https://sts.{region}.{domain}/")).map_err(|error| error.to_string())?
            }
        };
        connection.check(&endpoint)?;
        let proof = match proof {
            Proof::Signed { credentials, renew } => ProofSource::Signed { credentials, renew },
            Proof::WebIdentity(file) => ProofSource::WebIdentity(Arc::new(file)),
        };
        Ok(Self {
            role: role.clone(),
            region: region.to_owned(),
            endpoint,
            proof,
            client: connection.http()?,
            connection: connection.clone(),
        })
    }

    async fn assume(&self) -> Result<Issued<AwsCredential>, CredentialError> {
        match &self.proof {
            ProofSource::WebIdentity(file) => {
                let token = read_all(std::slice::from_ref(file)).await?;
                let token = token.first().map(|token| token.as_str()).unwrap_or_default();
                let form = self.form("AssumeRoleWithWebIdentity", Some(("WebIdentityToken", token)));
                self.send(form, None).await
            }
            ProofSource::Signed { credentials, renew } => {
                let external_id = self.role.external_id.as_deref().map(|id| ("ExternalId", id));
                let form = self.form("AssumeRole", external_id);
                let generation = renew.as_ref().map_or(0, |renew| renew.generation());
                let own = credentials.get_credential().await.map_err(|error| own_failed(&error))?;
                match (self.send(form.clone(), Some(own.as_ref())).await, renew) {
                    // The key that signs may just have been rotated.
                    (Err(CredentialError::Refused(_)), Some(renew)) if renew.renew(generation).await => {
                        let own = credentials.get_credential().await.map_err(|error| own_failed(&error))?;
                        self.send(form, Some(own.as_ref())).await
                    }
                    (outcome, _) => outcome,
                }
            }
        }
    }

    fn form(&self, action: &str, extra: Option<(&str, &str)>) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", action)
            .append_pair("Version", API_VERSION)
            .append_pair("RoleArn", &self.role.arn)
            .append_pair("RoleSessionName", &self.role.session_name)
            .append_pair("DurationSeconds", &self.role.duration.as_secs().to_string());
        if let Some((name, value)) = extra {
            form.append_pair(name, value);
        }
        form.finish()
    }

    /// Sends the form, signed where `own` is given, with retries as stores have them.
    async fn send(
        &self,
        form: String,
        own: Option<&AwsCredential>,
    ) -> Result<Issued<AwsCredential>, CredentialError> {
        let started = Instant::now();
        let mut pause = self.connection.retry.backoff.init_backoff;
        let mut retries = 0;
        loop {
            let outcome = self.attempt(form.clone(), own).await;
            let over = retries >= self.connection.retry.max_retries
                || started.elapsed() + pause > self.connection.retry.retry_timeout;
            match outcome {
                Err(CredentialError::Unreachable(_)) if !over => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(self.connection.retry.backoff.max_backoff);
                    retries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt(
        &self,
        form: String,
        own: Option<&AwsCredential>,
    ) -> Result<Issued<AwsCredential>, CredentialError> {
        let mut request: HttpRequest = http::Request::builder()
            .method(Method::POST)
            .uri(self.endpoint.as_str())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/xml")
            .body(HttpRequestBody::from(form))
            .map_err(|_| CredentialError::Unusable(format!("{} is no address of STS", self.endpoint)))?;
        if let Some(own) = own {
            AwsAuthorizer::new(own, "sts", &self.region).authorize(&mut request, None);
        }
        let silent = || CredentialError::Unreachable(format!("STS at {} does not answer", self.endpoint));
        let answer = self.client.execute(request).await.map_err(|_| silent())?;
        let status = answer.status();
        let body = read_limited(answer.into_body()).await.ok_or_else(silent)?;
        if !status.is_success() {
            return Err(self.refusal(status, &body));
        }
        let Answered { result } = quick_xml::de::from_str(&body).map_err(|_| {
            CredentialError::Unreachable(format!("{} does not answer as STS does", self.endpoint))
        })?;
        let session = result.credentials;
        let credential = AwsCredential {
            key_id: session.access_key_id,
            secret_key: session.secret_access_key,
            token: Some(session.session_token),
        };
        check_printable(&credential)?;
        let now = Instant::now();
        let lasts = (session.expiration - Utc::now()).to_std().unwrap_or_default();
        let early = RENEW_BEFORE.min(lasts / 4);
        Ok(Issued {
            credential: Arc::new(credential),
            renew_at: now + lasts.saturating_sub(early),
            expires_at: Some(now + lasts),
            issued_at: now,
        })
    }

    fn refusal(&self, status: StatusCode, body: &str) -> CredentialError {
        let code = code(body).unwrap_or_else(|| "no code".to_owned());
        let passing = status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || code.contains("Throttl")
            || code == "IDPCommunicationError";
        if passing {
            return CredentialError::Unreachable(format!(
                "STS at {} does not answer well ({} {code})",
                self.endpoint,
                status.as_u16()
            ));
        }
        CredentialError::Refused(format!(
            "STS refused the role {} ({} {code}); check the role's trust policy, the external id and who asks",
            self.role.arn,
            status.as_u16()
        ))
    }
}

#[async_trait]
impl Issuer<AwsCredential> for RoleIssuer {
    async fn issue(
        &self,
        refused: Option<&Issued<AwsCredential>>,
    ) -> Result<Issued<AwsCredential>, CredentialError> {
        match refused {
            // Where a session is refused because the role may not do something, a new one helps nobody.
            Some(refused) if refused.issued_at.elapsed() < REPLACE_AFTER => {
                Ok(Issued { credential: Arc::clone(&refused.credential), ..*refused })
            }
            _ => self.assume().await,
        }
    }
}

/// What is signed goes into headers: anything but visible ASCII is no key, and would not fit there.
pub(super) fn check_printable(credential: &AwsCredential) -> Result<(), CredentialError> {
    let parts = [Some(&credential.key_id), Some(&credential.secret_key), credential.token.as_ref()];
    let good = |part: &String| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
    match parts.into_iter().flatten().all(good) {
        true => Ok(()),
        false => Err(CredentialError::Unusable(
            "an access key, its secret or a session token is empty or has characters that none has"
                .to_owned(),
        )),
    }
}

fn own_failed(error: &object_store::Error) -> CredentialError {
    use super::failure::chain;
    match chain(error).find_map(|cause| cause.downcast_ref::<CredentialError>()) {
        Some(error) => error.clone(),
        None => CredentialError::from_provider("the environment's credentials", error),
    }
}

/// None where it breaks off or is too long.
async fn read_limited(body: object_store::client::HttpResponseBody) -> Option<String> {
    use futures::StreamExt as _;
    let mut chunks = body.bytes_stream();
    let mut all = Vec::new();
    while let Some(chunk) = chunks.next().await {
        all.extend_from_slice(&chunk.ok()?);
        if all.len() > ANSWER_LIMIT {
            return None;
        }
    }
    String::from_utf8(all).ok()
}

#[derive(Deserialize)]
struct Answered {
    #[serde(rename = "AssumeRoleResult", alias = "AssumeRoleWithWebIdentityResult")]
    result: AnsweredResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AnsweredResult {
    credentials: AnsweredSession,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AnsweredSession {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: DateTime<Utc>,
}
