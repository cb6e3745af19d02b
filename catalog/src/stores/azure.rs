//! Azure Blob Storage, with or without hierarchical namespace.

use std::sync::Arc;

use object_store::azure::{AzureConfigKey, AzureCredential, MicrosoftAzureBuilder};
use url::Url;
use zeroize::Zeroizing;

use super::connection::{Connection, Opened};
use super::credentials::{FromSecrets, Named, PlatformFile, Provider, Renew, Renewing};
use super::environment;
use super::options::{AzureCredentials, AzureOptions, Secret, SecretSource};

/// What a URL says of an Azure location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) name: String,
    /// Account and endpoint, where the URL is in Hadoop's form.
    pub(super) account: Option<(String, Url)>,
}

impl Container {
    /// `az://container/…`, `abfss://container/…` or `abfss://container@account.dfs.core.windows.net/…`.
    ///
    /// The endpoint follows from the host, so that sovereign clouds and OneLake work too: all that is
    /// sent goes to the account's blob service.
    pub(super) fn of(url: &Url) -> Result<Self, String> {
        let host = url.host_str().unwrap_or_default();
        if url.username().is_empty() {
            return Ok(Self { name: host.to_owned(), account: None });
        }
        let expected = "expected CONTAINER@ACCOUNT.dfs.core.windows.net after abfss://";
        let (account, rest) = host.split_once('.').ok_or(expected)?;
        let cloud = rest.strip_prefix("dfs.").or_else(|| rest.strip_prefix("blob.")).ok_or(expected)?;
        let endpoint =
            Url::parse(&format!("https://{account}.blob.{cloud}")).map_err(|_| expected.to_owned())?;
        Ok(Self { name: url.username().to_owned(), account: Some((account.to_owned(), endpoint)) })
    }
}

/// Opens a container. Sends nothing.
pub(super) fn open(
    name: &str,
    container: &Container,
    options: &AzureOptions,
    connection: &Connection,
) -> Result<Opened, String> {
    let in_url = container.account.as_ref();
    let account = in_url
        .map(|(account, _)| account.clone())
        .or_else(|| options.account.clone())
        .or_else(|| environment::first(&["AZURE_STORAGE_ACCOUNT_NAME"]))
        .ok_or("the storage account is not known: set `account` of this store")?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&account)
        .with_container_name(&container.name)
        .with_client_options(connection.client.clone())
        .with_retry(connection.retry.clone());
    if let Some(endpoint) = options.endpoint.as_ref().or(in_url.map(|(_, endpoint)| endpoint)) {
        connection.check(endpoint)?;
        builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/').to_owned());
    }
    let (credentials, renew) = match credentials(options, connection)? {
        Some((credentials, renew)) => (Some(credentials), renew),
        None => (None, None),
    };
    let builder = match credentials {
        Some(credentials) => builder.with_credentials(credentials),
        None => builder.with_skip_signature(true),
    };
    let store = builder.build().map_err(|error| error.to_string())?;
    Ok(connection.wrap(name, store, renew))
}

type Credentials = (Provider<AzureCredential>, Option<Arc<dyn Renew>>);

/// Who signs requests; None where they are not signed.
fn credentials(options: &AzureOptions, connection: &Connection) -> Result<Option<Credentials>, String> {
    if let Some(host) = &options.authority_host {
        connection.check(host)?;
    }
    let authority = options.authority_host.clone();
    let who = "Microsoft Entra ID";
    let given = match &options.credentials {
        AzureCredentials::Anonymous => return Ok(None),
        AzureCredentials::Default => from_environment(options, connection)?,
        AzureCredentials::AccessKey(key) => {
            let key = Arc::clone(key);
            from_secrets("Azure Storage", key, connection, |builder, key| builder.with_access_key(key))
        }
        AzureCredentials::SasToken(token) => {
            let token = Arc::clone(token);
            from_secrets("Azure Storage", token, connection, |builder, token| {
                builder.with_config(AzureConfigKey::SasKey, token)
            })
        }
        AzureCredentials::ClientSecret { tenant_id, client_id, client_secret } => {
            let (tenant, client, secret) = (tenant_id.clone(), client_id.clone(), Arc::clone(client_secret));
            from_secrets(who, secret, connection, move |builder, secret| {
                with_authority(builder, authority.as_ref())
                    .with_client_secret_authorization(&client, secret, &tenant)
            })
        }
        AzureCredentials::WorkloadIdentity { tenant_id, client_id, token_file } => {
            let (tenant, client, file) = (tenant_id.clone(), client_id.clone(), token_file.clone());
            let token = Arc::new(PlatformFile(token_file.clone()));
            // Read for its changes alone: the provider reads it itself.
            from_secrets(who, token, connection, move |builder, _| {
                with_authority(builder, authority.as_ref())
                    .with_client_id(&client)
                    .with_tenant_id(&tenant)
                    .with_federated_token_file(file.to_string_lossy())
            })
        }
        AzureCredentials::ManagedIdentity { client_id, endpoint } => {
            managed_identity(client_id.clone(), endpoint.as_ref(), connection)?
        }
    };
    Ok(Some(given))
}

/// What the environment gives.
fn from_environment(options: &AzureOptions, connection: &Connection) -> Result<Credentials, String> {
    let get = |name: &str| environment::first(&[name]);
    let secret = |name: &'static str| Arc::new(Variable(name)) as Secret;
    let credentials = if get("AZURE_STORAGE_ACCOUNT_KEY").is_some() {
        AzureCredentials::AccessKey(secret("AZURE_STORAGE_ACCOUNT_KEY"))
    } else if get("AZURE_STORAGE_SAS_TOKEN").is_some() {
        AzureCredentials::SasToken(secret("AZURE_STORAGE_SAS_TOKEN"))
    } else {
        match (get("AZURE_TENANT_ID"), get("AZURE_CLIENT_ID")) {
            (Some(tenant_id), Some(client_id)) if get("AZURE_CLIENT_SECRET").is_some() => {
                AzureCredentials::ClientSecret {
                    tenant_id,
                    client_id,
                    client_secret: secret("AZURE_CLIENT_SECRET"),
                }
            }
            (Some(tenant_id), Some(client_id)) => match get("AZURE_FEDERATED_TOKEN_FILE") {
                Some(file) => {
                    AzureCredentials::WorkloadIdentity { tenant_id, client_id, token_file: file.into() }
                }
                None => AzureCredentials::ManagedIdentity { client_id: Some(client_id), endpoint: None },
            },
            (_, client_id) => AzureCredentials::ManagedIdentity { client_id, endpoint: None },
        }
    };
    let authority_host = match (&options.authority_host, get("AZURE_AUTHORITY_HOST")) {
        (Some(host), _) => Some(host.clone()),
        (None, Some(host)) => {
            Some(Url::parse(&host).map_err(|_| "AZURE_AUTHORITY_HOST is no URL".to_owned())?)
        }
        (None, None) => None,
    };
    let options = AzureOptions { credentials, authority_host, ..options.clone() };
    self::credentials(&options, connection)?.ok_or_else(|| "no credentials".to_owned())
}

fn managed_identity(
    client_id: Option<String>,
    endpoint: Option<&Url>,
    connection: &Connection,
) -> Result<Credentials, String> {
    let mut builder = anywhere(connection).with_retry(connection.metadata_retry());
    if let Some(client_id) = client_id {
        builder = builder.with_client_id(client_id);
    }
    let endpoint = endpoint.map(Url::to_string).or_else(|| environment::first(&["IDENTITY_ENDPOINT"]));
    if let Some(endpoint) = endpoint {
        builder = builder.with_msi_endpoint(endpoint);
    }
    let store = builder.build().map_err(|error| error.to_string())?;
    let inner = Arc::clone(store.credentials());
    Ok((Arc::new(Named { who: "the managed identity of this machine", inner }), None))
}

/// A builder for the sake of its credentials.
fn anywhere(connection: &Connection) -> MicrosoftAzureBuilder {
    MicrosoftAzureBuilder::new()
        .with_account("any")
        .with_container_name("any")
        .with_client_options(connection.client.clone())
        .with_retry(connection.retry.clone())
}

fn with_authority(builder: MicrosoftAzureBuilder, host: Option<&Url>) -> MicrosoftAzureBuilder {
    match host {
        Some(host) => builder.with_authority_host(host.as_str().trim_end_matches('/')),
        None => builder,
    }
}

fn from_secrets(
    who: &'static str,
    secret: Secret,
    connection: &Connection,
    with: impl Fn(MicrosoftAzureBuilder, &str) -> MicrosoftAzureBuilder + Send + Sync + 'static,
) -> Credentials {
    let limit = connection.options.retry_timeout + connection.options.request_timeout;
    let connection = connection.clone();
    let issuer = FromSecrets::new(who, vec![secret], move |values| {
        let value = values.first().map(|value| value.trim()).unwrap_or_default();
        let store = with(anywhere(&connection), value).build()?;
        Ok(Arc::clone(store.credentials()))
    });
    let renewing = Renewing::new(issuer, limit);
    (Arc::clone(&renewing) as Provider<AzureCredential>, Some(renewing as Arc<dyn Renew>))
}

/// A secret in one of Azure's own variables.
#[derive(Debug)]
struct Variable(&'static str);

impl SecretSource for Variable {
    fn read(&self) -> Result<Zeroizing<String>, String> {
        let value = environment::first(&[self.0]).map(Zeroizing::new);
        value.ok_or_else(|| format!("environment variable {} is not set", self.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn urls_of_azure() {
        let of = |url: &str| Container::of(&Url::parse(url).unwrap());
        let plain = Container { name: "lake".to_owned(), account: None };
        assert_eq!(of("az://lake/silver/").unwrap(), plain);
        assert_eq!(of("abfss://lake/silver/").unwrap(), plain);
        for (url, endpoint) in [
            ("abfss://lake@trust.dfs.core.windows.net/x/", "https://trust.blob.core.windows.net/"),
            ("abfs://lake@trust.blob.core.windows.net/x/", "https://trust.blob.core.windows.net/"),
            ("abfss://lake@trust.dfs.core.chinacloudapi.cn/", "https://trust.blob.core.chinacloudapi.cn/"),
        ] {
            let container = of(url).unwrap();
            assert_eq!(container.name, "lake");
            let (account, found) = container.account.unwrap();
            assert_eq!((account.as_str(), found.as_str()), ("trust", endpoint));
        }
        assert!(of("abfss://lake@trust/x/").is_err());
        assert!(of("abfss://lake@trust.example.org/x/").is_err());
    }
}
