//! Google Cloud Storage.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::StaticCredentialProvider;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};

use super::connection::{Connection, Opened};
use super::credentials::{FromSecrets, Named, PlatformFile, Provider, Renew, Renewing};
use super::environment;
use super::options::{GcsCredentials, GcsOptions, Secret};

/// Opens a bucket. Sends nothing.
pub(super) fn open(
    name: &str,
    bucket: &str,
    options: &GcsOptions,
    connection: &Connection,
) -> Result<Opened, String> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_client_options(connection.client.clone())
        .with_retry(connection.retry.clone());
    if let Some(endpoint) = &options.endpoint {
        connection.check(endpoint)?;
        builder = builder.with_base_url(endpoint.as_str().trim_end_matches('/'));
    }
    let (credentials, renew): Credentials = match &options.credentials {
        GcsCredentials::Anonymous => {
            builder = builder.with_skip_signature(true);
            (Arc::new(StaticCredentialProvider::new(GcpCredential { bearer: String::new() })), None)
        }
        GcsCredentials::ServiceAccountKey(key) => {
            from_file(Arc::clone(key), connection, |builder, key| builder.with_service_account_key(key))
        }
        GcsCredentials::Default => match application_default_file() {
            // Read for its changes alone: the provider reads it itself.
            Some(file) => {
                let path = file.to_string_lossy().into_owned();
                from_file(Arc::new(PlatformFile(file)), connection, move |builder, _| {
                    builder.with_application_credentials(&path)
                })
            }
            None => of_machine(connection)?,
        },
    };
    let store = builder.with_credentials(credentials).build().map_err(|error| error.to_string())?;
    Ok(connection.wrap(name, store, renew))
}

type Credentials = (Provider<GcpCredential>, Option<Arc<dyn Renew>>);

/// Where application default credentials are, if in a file.
fn application_default_file() -> Option<PathBuf> {
    if let Some(file) = environment::first(&["GOOGLE_APPLICATION_CREDENTIALS"]) {
        return Some(file.into());
    }
    let home = PathBuf::from(environment::first(&["HOME"])?);
    let file = home.join(".config/gcloud/application_default_credentials.json");
    file.exists().then_some(file)
}

/// The service account of the machine, from its metadata service.
fn of_machine(connection: &Connection) -> Result<Credentials, String> {
    let store = anywhere(connection)
        .with_retry(connection.metadata_retry())
        .build()
        .map_err(|error| error.to_string())?;
    let inner = Arc::clone(store.credentials());
    Ok((Arc::new(Named { who: "the service account of this machine", inner }), None))
}

/// A builder for the sake of its credentials.
fn anywhere(connection: &Connection) -> GoogleCloudStorageBuilder {
    GoogleCloudStorageBuilder::new()
        .with_bucket_name("any")
        .with_client_options(connection.client.clone())
        .with_retry(connection.retry.clone())
}

fn from_file(
    secret: Secret,
    connection: &Connection,
    with: impl Fn(GoogleCloudStorageBuilder, &str) -> GoogleCloudStorageBuilder + Send + Sync + 'static,
) -> Credentials {
    let limit = connection.options.retry_timeout + connection.options.request_timeout;
    let connection = connection.clone();
    let issuer = FromSecrets::new("Google Cloud", vec![secret], move |values| {
        let value = values.first().map(|value| value.as_str()).unwrap_or_default();
        let store = with(anywhere(&connection), value).build()?;
        Ok(Arc::clone(store.credentials()))
    });
    let renewing = Renewing::new(issuer, limit);
    (Arc::clone(&renewing) as Provider<GcpCredential>, Some(renewing as Arc<dyn Renew>))
}
