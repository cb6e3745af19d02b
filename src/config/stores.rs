//! From the settings of a store to the options of the catalog, with the rules across settings.

use lakeward_catalog::{
    AzureCredentials, AzureOptions, ConnectionOptions, GcsCredentials, GcsOptions, S3Addressing,
    S3ConditionalPut, S3Credentials, S3Options, Secret as SecretHandle, StoreOptions, StoreProvider,
};
use lakeward_catalog::{S3Encryption as EncryptionOptions, S3Role as RoleOptions};
use lakeward_policy::document::{Diagnostic, Diagnostics};
use std::sync::Arc;
use std::time::Duration;

use super::values::Name;
use super::{Addressing, Azure, ConfigPath, EncryptionKind, Endpoint, Gcs, S3, SecretRef, Store};

/// What STS allows for the length of a session.
const SESSIONS: std::ops::RangeInclusive<Duration> = Duration::from_secs(900)..=Duration::from_secs(43_200);

fn handle(secret: &SecretRef) -> SecretHandle {
    Arc::new(secret.clone())
}

fn url(endpoint: Option<&Endpoint>) -> Option<url::Url> {
    endpoint.map(|endpoint| endpoint.url.clone())
}

/// At most one of these may be given.
fn one_of(given: &[(&str, bool)]) -> Result<(), String> {
    let names: Vec<_> =
        given.iter().filter(|(_, given)| *given).map(|(name, _)| format!("`{name}`")).collect();
    if names.len() < 2 { Ok(()) } else { Err(format!("choose one of {}", names.join(", "))) }
}

impl Store {
    /// The options, or everything that does not fit together.
    pub fn options(&self, name: &str) -> Result<StoreOptions, Diagnostics> {
        let complain = |message: String| self.location.origin.complain(format!("`stores.{name}`: {message}"));
        let mut problems: Vec<Diagnostic> = Vec::new();
        if !Name::is_valid(name) {
            problems.push(complain(format!("expected {} for the settings of a store", Name::EXPECTED)));
        }
        for (key, endpoint) in self.endpoints() {
            if endpoint.url.scheme() == "http" && !self.allow_http {
                problems.push(endpoint.origin.complain(format!(
                    "`stores.{name}.{key}`: {} has no TLS, so rows would cross the network in clear text; use \
                     https, or knowingly `allow_http: true`",
                    endpoint.url
                )));
            }
        }
        for (key, length) in
            [("timeout", self.requests.timeout), ("connect_timeout", self.requests.connect_timeout)]
        {
            if length.limit().is_none() {
                problems.push(complain(format!("`requests.{key}`: expected more than nothing")));
            }
        }
        let provider = match self.provider() {
            Ok(provider) => Some(provider),
            Err(message) => {
                problems.push(complain(message));
                None
            }
        };
        match provider {
            Some(provider) if problems.is_empty() => Ok(StoreOptions {
                name: name.to_owned(),
                prefix: self.location.prefix.clone(),
                provider,
                connection: self.connection(),
            }),
            _ => Err(Diagnostics(problems)),
        }
    }

    fn connection(&self) -> ConnectionOptions {
        ConnectionOptions {
            allow_http: self.allow_http,
            ca_certificate: self.ca_certificate.as_ref().map(|file| file.path.clone()),
            request_timeout: self.requests.timeout.get(),
            connect_timeout: self.requests.connect_timeout.get(),
            max_retries: self.requests.max_retries.get(),
            retry_timeout: self.requests.retry_timeout.get(),
            max_concurrent_requests: self.requests.max_concurrent.get(),
        }
    }

    /// Endpoints that TLS is asked of. A managed identity's is the machine's own.
    fn endpoints(&self) -> Vec<(&'static str, &Endpoint)> {
        let s3 = self.s3.as_ref();
        let azure = self.azure.as_ref();
        let role = s3.and_then(|s3| s3.role.as_ref());
        [
            ("s3.endpoint", s3.and_then(|s3| s3.endpoint.as_ref())),
            ("s3.role.sts_endpoint", role.and_then(|role| role.sts_endpoint.as_ref())),
            ("azure.endpoint", azure.and_then(|azure| azure.endpoint.as_ref())),
            ("azure.authority_host", azure.and_then(|azure| azure.authority_host.as_ref())),
            ("gcs.endpoint", self.gcs.as_ref().and_then(|gcs| gcs.endpoint.as_ref())),
        ]
        .into_iter()
        .filter_map(|(key, endpoint)| Some((key, endpoint?)))
        .collect()
    }

    fn provider(&self) -> Result<StoreProvider, String> {
        let scheme = self.location.scheme();
        let wanted = match scheme {
            "s3" | "s3a" => "s3",
            "gs" => "gcs",
            _ => "azure",
        };
        let given = [("s3", self.s3.is_some()), ("azure", self.azure.is_some()), ("gcs", self.gcs.is_some())];
        if let Some((other, _)) = given.iter().find(|(name, given)| *given && *name != wanted) {
            return Err(format!("`{other}` is for another kind of store: {scheme}:// takes `{wanted}`"));
        }
        Ok(match wanted {
            "s3" => {
                StoreProvider::S3(self.s3.as_ref().map_or_else(|| Ok(S3Options::default()), S3::options)?)
            }
            "gcs" => {
                StoreProvider::Gcs(self.gcs.as_ref().map_or_else(|| Ok(GcsOptions::default()), Gcs::options)?)
            }
            _ => StoreProvider::Azure(
                self.azure.as_ref().map_or_else(|| Ok(AzureOptions::default()), Azure::options)?,
            ),
        })
    }

    /// References to secrets, to be checked.
    pub(super) fn secrets(&self) -> Vec<&SecretRef> {
        let mut secrets = Vec::new();
        if let Some(s3) = &self.s3 {
            secrets.extend([&s3.access_key_id, &s3.secret_access_key, &s3.session_token]);
        }
        if let Some(azure) = &self.azure {
            secrets.extend([&azure.access_key, &azure.sas_token, &azure.client_secret]);
        }
        if let Some(gcs) = &self.gcs {
            secrets.push(&gcs.service_account_key);
        }
        secrets.into_iter().flatten().collect()
    }

    /// Files that are named, to be checked.
    pub(super) fn files(&self) -> Vec<(&ConfigPath, &'static str)> {
        let s3 = self.s3.as_ref().and_then(|s3| s3.web_identity_token_file.as_ref());
        let azure = self.azure.as_ref().and_then(|azure| azure.federated_token_file.as_ref());
        let tokens = [s3, azure].into_iter().flatten().map(|file| (file, "a token file"));
        self.ca_certificate.iter().map(|file| (file, "certificates")).chain(tokens).collect()
    }
}

impl S3 {
    fn options(&self) -> Result<S3Options, String> {
        Ok(S3Options {
            region: self.region.clone(),
            endpoint: url(self.endpoint.as_ref()),
            addressing: match self.addressing {
                Addressing::Path => S3Addressing::Path,
                Addressing::VirtualHosted => S3Addressing::VirtualHosted,
            },
            credentials: self.credentials()?,
            role: self.role.as_ref().map(super::S3Role::options).transpose()?,
            encryption: self.encryption.as_ref().map(super::S3Encryption::options).transpose()?,
            conditional_put: match self.conditional_put {
                true => S3ConditionalPut::ETag,
                false => S3ConditionalPut::Disabled,
            },
        })
    }

    fn credentials(&self) -> Result<S3Credentials, String> {
        one_of(&[
            ("s3.access_key_id", self.access_key_id.is_some()),
            ("s3.web_identity_token_file", self.web_identity_token_file.is_some()),
            ("s3.anonymous", self.anonymous),
        ])?;
        if self.anonymous && self.role.is_some() {
            return Err("choose one of `s3.anonymous`, `s3.role`".to_owned());
        }
        Ok(match (&self.access_key_id, &self.secret_access_key, &self.web_identity_token_file) {
            (Some(id), Some(secret), _) => S3Credentials::Keys {
                access_key_id: handle(id),
                secret_access_key: handle(secret),
                session_token: self.session_token.as_ref().map(handle),
            },
            (Some(_), None, _) => return Err("`s3.access_key_id` needs `s3.secret_access_key`".to_owned()),
            (None, Some(_), _) => return Err("`s3.secret_access_key` needs `s3.access_key_id`".to_owned()),
            (None, None, _) if self.session_token.is_some() => {
                return Err("`s3.session_token` needs `s3.access_key_id`".to_owned());
            }
            (None, None, Some(_)) if self.role.is_none() => {
                return Err("`s3.web_identity_token_file` needs `s3.role`".to_owned());
            }
            (None, None, Some(file)) => S3Credentials::WebIdentity { token_file: file.path.clone() },
            (None, None, None) if self.anonymous => S3Credentials::Anonymous,
            (None, None, None) => S3Credentials::Default,
        })
    }
}

impl super::S3Role {
    fn options(&self) -> Result<RoleOptions, String> {
        let duration = self.duration.get();
        if !SESSIONS.contains(&duration) {
            return Err("`s3.role.duration`: expected 15m to 12h".to_owned());
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        if !(2..=64).contains(&self.session_name.len()) || !self.session_name.chars().all(allowed) {
            return Err("`s3.role.session_name`: expected 2 to 64 letters, digits or characters of _+=,.@-"
                .to_owned());
        }
        if !self.arn.starts_with("arn:") {
            return Err(
                "`s3.role.arn`: expected an ARN such as arn:aws:iam::123456789012:role/lakeward".to_owned()
            );
        }
        Ok(RoleOptions {
            arn: self.arn.clone(),
            session_name: self.session_name.clone(),
            external_id: self.external_id.clone(),
            duration,
            sts_endpoint: url(self.sts_endpoint.as_ref()),
        })
    }
}

impl super::S3Encryption {
    fn options(&self) -> Result<EncryptionOptions, String> {
        match self.kind {
            EncryptionKind::SseS3 if self.key_id.is_some() || self.bucket_key.is_some() => {
                Err("`s3.encryption`: `key_id` and `bucket_key` are for `kind: sse_kms`".to_owned())
            }
            EncryptionKind::SseS3 => Ok(EncryptionOptions::S3),
            EncryptionKind::SseKms => {
                Ok(EncryptionOptions::Kms { key_id: self.key_id.clone(), bucket_key: self.bucket_key })
            }
        }
    }
}

impl Azure {
    fn options(&self) -> Result<AzureOptions, String> {
        Ok(AzureOptions {
            account: self.account.clone(),
            endpoint: url(self.endpoint.as_ref()),
            credentials: self.credentials()?,
            authority_host: url(self.authority_host.as_ref()),
        })
    }

    fn credentials(&self) -> Result<AzureCredentials, String> {
        one_of(&[
            ("azure.access_key", self.access_key.is_some()),
            ("azure.sas_token", self.sas_token.is_some()),
            ("azure.client_secret", self.client_secret.is_some()),
            ("azure.federated_token_file", self.federated_token_file.is_some()),
            ("azure.managed_identity", self.managed_identity),
            ("azure.anonymous", self.anonymous),
        ])?;
        let principal = |what: &str| match (&self.tenant_id, &self.client_id) {
            (Some(tenant), Some(client)) => Ok((tenant.clone(), client.clone())),
            _ => Err(format!("`azure.{what}` needs `azure.tenant_id` and `azure.client_id`")),
        };
        if let Some(key) = &self.access_key {
            return Ok(AzureCredentials::AccessKey(handle(key)));
        }
        if let Some(token) = &self.sas_token {
            return Ok(AzureCredentials::SasToken(handle(token)));
        }
        if let Some(secret) = &self.client_secret {
            let (tenant_id, client_id) = principal("client_secret")?;
            return Ok(AzureCredentials::ClientSecret {
                tenant_id,
                client_id,
                client_secret: handle(secret),
            });
        }
        if let Some(file) = &self.federated_token_file {
            let (tenant_id, client_id) = principal("federated_token_file")?;
            let token_file = file.path.clone();
            return Ok(AzureCredentials::WorkloadIdentity { tenant_id, client_id, token_file });
        }
        if self.managed_identity {
            return Ok(AzureCredentials::ManagedIdentity {
                client_id: self.client_id.clone(),
                endpoint: url(self.managed_identity_endpoint.as_ref()),
            });
        }
        if self.managed_identity_endpoint.is_some() {
            return Err("`azure.managed_identity_endpoint` needs `azure.managed_identity`".to_owned());
        }
        if self.tenant_id.is_some() || self.client_id.is_some() {
            return Err("`azure.tenant_id` and `azure.client_id` need `azure.client_secret`, \
                        `azure.federated_token_file` or `azure.managed_identity`"
                .to_owned());
        }
        Ok(if self.anonymous { AzureCredentials::Anonymous } else { AzureCredentials::Default })
    }
}

impl Gcs {
    fn options(&self) -> Result<GcsOptions, String> {
        one_of(&[
            ("gcs.service_account_key", self.service_account_key.is_some()),
            ("gcs.anonymous", self.anonymous),
        ])?;
        let credentials = match &self.service_account_key {
            Some(key) => GcsCredentials::ServiceAccountKey(handle(key)),
            None if self.anonymous => GcsCredentials::Anonymous,
            None => GcsCredentials::Default,
        };
        Ok(GcsOptions { endpoint: url(self.endpoint.as_ref()), credentials })
    }
}
