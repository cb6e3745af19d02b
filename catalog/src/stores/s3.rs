//! Amazon S3 and what speaks its protocol.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::StaticCredentialProvider;
use object_store::aws::{
    AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, S3ConditionalPut as Put,
};
use url::Url;

use super::connection::{Connection, Opened};
use super::credentials::{
    CredentialError, Issued, Issuer, Named, PlatformFile, Provider, Renew, Renewing, read_all,
};
use super::environment;
use super::options::{
    S3Addressing, S3ConditionalPut, S3Credentials, S3Encryption, S3Options, S3Role, Secret,
};
use super::sts::{Proof, RoleIssuer, check_printable};

/// A region that a store of one's own takes as well as any.
const DEFAULT_REGION: &str = "us-east-1";

/// Opens a bucket. Sends nothing.
pub(super) fn open(
    name: &str,
    bucket: &str,
    options: &S3Options,
    connection: &Connection,
) -> Result<Opened, String> {
    let region = options
        .region
        .clone()
        .or_else(|| environment::first(&["AWS_REGION", "AWS_DEFAULT_REGION"]))
        .unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let builder = with_encryption(AmazonS3Builder::new(), options.encryption.as_ref())?
        .with_bucket_name(bucket)
        .with_region(&region)
        .with_client_options(connection.client.clone())
        .with_retry(connection.retry.clone())
        .with_virtual_hosted_style_request(options.addressing == S3Addressing::VirtualHosted)
        .with_conditional_put(match options.conditional_put {
            S3ConditionalPut::ETag => Put::ETagMatch,
            S3ConditionalPut::Disabled => Put::Disabled,
        });
    let builder = match &options.endpoint {
        Some(endpoint) => {
            connection.check(endpoint)?;
            builder.with_endpoint(bucket_endpoint(endpoint, bucket, options.addressing)?)
        }
        None => builder,
    };
    let (credentials, renew) = credentials(options, &region, connection)?;
    let builder = match credentials {
        Some(credentials) => builder.with_credentials(credentials),
        None => builder.with_skip_signature(true),
    };
    let store = builder.build().map_err(|error| error.to_string())?;
    Ok(connection.wrap(name, store, renew))
}

/// object_store wants the bucket in the endpoint where requests name it there.
fn bucket_endpoint(endpoint: &Url, bucket: &str, addressing: S3Addressing) -> Result<String, String> {
    let mut endpoint = endpoint.clone();
    if addressing == S3Addressing::VirtualHosted {
        let host = format!("{bucket}.{}", endpoint.host_str().unwrap_or_default());
        endpoint.set_host(Some(&host)).map_err(|error| format!("{host} is no host name: {error}"))?;
    }
    Ok(endpoint.as_str().trim_end_matches('/').to_owned())
}

fn with_encryption(
    builder: AmazonS3Builder,
    encryption: Option<&S3Encryption>,
) -> Result<AmazonS3Builder, String> {
    let mut settings = Vec::new();
    match encryption {
        None => {}
        Some(S3Encryption::S3) => settings.push(("aws_server_side_encryption", "AES256".to_owned())),
        Some(S3Encryption::Kms { key_id, bucket_key }) => {
            settings.push(("aws_server_side_encryption", "aws:kms".to_owned()));
            settings.extend(key_id.clone().map(|id| ("aws_sse_kms_key_id", id)));
            settings.extend(bucket_key.map(|on| ("aws_sse_bucket_key_enabled", on.to_string())));
        }
    }
    settings.into_iter().try_fold(builder, |builder, (name, value)| {
        let key: AmazonS3ConfigKey = name.parse().map_err(|_| format!("{name} is no setting of S3"))?;
        Ok(builder.with_config(key, value))
    })
}

type Credentials = (Option<Provider<AwsCredential>>, Option<Arc<dyn Renew>>);

/// Who signs requests, and how newer credentials are had; None where requests are not signed.
fn credentials(options: &S3Options, region: &str, connection: &Connection) -> Result<Credentials, String> {
    let (own, renew) = match &options.credentials {
        S3Credentials::Anonymous => return Ok((None, None)),
        S3Credentials::WebIdentity { token_file } => {
            let Some(role) = &options.role else {
                return Err("a web identity needs the role that it stands for".to_owned());
            };
            return role_session(
                role,
                region,
                Proof::WebIdentity(PlatformFile(token_file.clone())),
                connection,
            );
        }
        S3Credentials::Keys { access_key_id, secret_access_key, session_token } => {
            let mut secrets = vec![Arc::clone(access_key_id), Arc::clone(secret_access_key)];
            secrets.extend(session_token.clone());
            let keys = Renewing::new(Keys(secrets), connection.options.request_timeout);
            (Arc::clone(&keys) as Provider<AwsCredential>, Some(keys as Arc<dyn Renew>))
        }
        S3Credentials::Default => from_environment(region, connection)?,
    };
    match &options.role {
        Some(role) => role_session(role, region, Proof::Signed { credentials: own, renew }, connection),
        None => Ok((Some(own), renew)),
    }
}

fn role_session(
    role: &S3Role,
    region: &str,
    proof: Proof,
    connection: &Connection,
) -> Result<Credentials, String> {
    let issuer = RoleIssuer::new(role, region, proof, connection)?;
    let limit = connection.options.retry_timeout + connection.options.request_timeout;
    let session = Renewing::new(issuer, limit);
    Ok((Some(Arc::clone(&session) as Provider<AwsCredential>), Some(session as Arc<dyn Renew>)))
}

/// An access key, read from its references.
struct Keys(Vec<Secret>);

#[async_trait]
impl Issuer<AwsCredential> for Keys {
    async fn issue(
        &self,
        _refused: Option<&Issued<AwsCredential>>,
    ) -> Result<Issued<AwsCredential>, CredentialError> {
        let mut values = read_all(&self.0).await?.into_iter().map(|value| value.trim().to_owned());
        let credential = AwsCredential {
            key_id: values.next().unwrap_or_default(),
            secret_key: values.next().unwrap_or_default(),
            token: values.next(),
        };
        check_printable(&credential)?;
        Ok(Issued::until_changed(Arc::new(credential)))
    }
}

type Own = (Provider<AwsCredential>, Option<Arc<dyn Renew>>);

/// What the environment gives, in the order of Amazon's own tools.
fn from_environment(region: &str, connection: &Connection) -> Result<Own, String> {
    let get = |name: &str| environment::first(&[name]);
    if let (Some(key_id), Some(secret_key)) = (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
        let credential = AwsCredential { key_id, secret_key, token: get("AWS_SESSION_TOKEN") };
        check_printable(&credential).map_err(|error| error.to_string())?;
        return Ok((Arc::new(StaticCredentialProvider::new(credential)), None));
    }
    if let (Some(token_file), Some(arn)) = (get("AWS_WEB_IDENTITY_TOKEN_FILE"), get("AWS_ROLE_ARN")) {
        let role = S3Role {
            arn,
            session_name: get("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "lakeward".to_owned()),
            external_id: None,
            duration: std::time::Duration::from_secs(3600),
            sts_endpoint: None,
        };
        let proof = Proof::WebIdentity(PlatformFile(token_file.into()));
        let (session, renew) = role_session(&role, region, proof, connection)?;
        return session.map(|session| (session, renew)).ok_or_else(|| "no session".to_owned());
    }
    // Containers, pods and instances: object_store asks their endpoints, and asks again in time.
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name("any")
        .with_region(region)
        .with_client_options(connection.client.clone())
        .with_retry(connection.metadata_retry());
    for (name, key) in [
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
    ] {
        if let Some(value) = get(name) {
            builder = builder.with_config(key, value.trim_end_matches('/'));
        }
    }
    let store: AmazonS3 = builder.build().map_err(|error| error.to_string())?;
    let inner = Arc::clone(store.credentials());
    Ok((Arc::new(Named { who: "the identity that AWS gives to this machine", inner }), None))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn buckets_in_endpoints() {
        for (endpoint, path, hosted) in [
            ("https://s3.example.org", "https://s3.example.org", "https://lake.s3.example.org"),
            ("http://store:9000/", "http://store:9000", "http://lake.store:9000"),
            ("https://gateway/s3/", "https://gateway/s3", "https://lake.gateway/s3"),
        ] {
            let endpoint = Url::parse(endpoint).unwrap();
            assert_eq!(bucket_endpoint(&endpoint, "lake", S3Addressing::Path).unwrap(), path);
            assert_eq!(bucket_endpoint(&endpoint, "lake", S3Addressing::VirtualHosted).unwrap(), hosted);
        }
        let address = Url::parse("http://127.0.0.1:9000").unwrap();
        assert!(bucket_endpoint(&address, "lake", S3Addressing::VirtualHosted).is_err());
    }
}
