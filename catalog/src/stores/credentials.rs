//! Credentials that follow their references: read again, renewed before they expire, never printed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use object_store::CredentialProvider;
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::failure::Answer;
use super::options::{Secret, SecretSource};

/// How long a value that was read from its reference is used before the reference is looked at again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// How long to wait after a failed renewal while the old credential still holds.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// How long a failure is the answer to all who ask: those who waited meanwhile do not ask again one by one.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);

/// Why there are no credentials. Names places and codes, never a value.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum CredentialError {
    /// The reference cannot be read, or what it holds is no credential.
    #[error("{0}")]
    Unusable(String),
    /// Who gives credentials out said no.
    #[error("{0}")]
    Refused(String),
    /// Who gives credentials out did not answer.
    #[error("{0}")]
    Unreachable(String),
}

impl From<CredentialError> for object_store::Error {
    fn from(error: CredentialError) -> Self {
        Self::Generic { store: "credentials", source: Box::new(error) }
    }
}

impl CredentialError {
    /// From the error of one of object_store's own providers; `who` gives the credentials out.
    pub(super) fn from_provider(who: &str, error: &object_store::Error) -> Self {
        let answer = Answer::of(error);
        match (answer.status, answer.code) {
            (Some(status @ 400..=499), Some(code)) if status != 429 => {
                Self::Refused(format!("{who} refused ({status} {code})"))
            }
            (Some(status @ 400..=499), None) if status != 429 => {
                Self::Refused(format!("{who} refused ({status})"))
            }
            (Some(status), _) => Self::Unreachable(format!("{who} does not answer well ({status})")),
            (None, _) => Self::Unreachable(format!("{who} does not answer")),
        }
    }
}

/// A credential and how long it may be used.
pub(super) struct Issued<C> {
    pub(super) credential: Arc<C>,
    /// When to ask again, though it still holds.
    pub(super) renew_at: Instant,
    /// When it ends by itself; None where nobody knows.
    pub(super) expires_at: Option<Instant>,
    pub(super) issued_at: Instant,
}

impl<C> Issued<C> {
    /// One without an end that is known, to be looked at again soon.
    pub(super) fn until_changed(credential: Arc<C>) -> Self {
        let now = Instant::now();
        Self { credential, renew_at: now + LOOK_AGAIN, expires_at: None, issued_at: now }
    }
}

/// Where credentials come from.
#[async_trait]
pub(super) trait Issuer<C>: Send + Sync {
    /// The credential now. `refused` is what a store has just refused, so that one may be had anew
    /// although the old one seems good.
    async fn issue(&self, refused: Option<&Issued<C>>) -> Result<Issued<C>, CredentialError>;
}

/// Gives a store newer credentials after it refused the ones it was shown.
#[async_trait]
pub(super) trait Renew: Send + Sync {
    /// Counts up with every change of the credential.
    fn generation(&self) -> u64;

    /// Looks for a credential other than that of `generation`; says whether there is one.
    async fn renew(&self, generation: u64) -> bool;
}

/// An [`Issuer`] with a memory.
pub(super) struct Renewing<C> {
    issuer: Box<dyn Issuer<C>>,
    /// Time for one look at the issuer.
    limit: Duration,
    held: ArcSwapOption<Issued<C>>,
    /// The last failure without anything held, and when.
    failed: ArcSwapOption<(Instant, CredentialError)>,
    generation: AtomicU64,
    /// Held while the issuer is asked, so that it is asked once.
    asking: Mutex<()>,
}

impl<C> fmt::Debug for Renewing<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewing").finish_non_exhaustive()
    }
}

impl<C: PartialEq + Send + Sync> Renewing<C> {
    pub(super) fn new(issuer: impl Issuer<C> + 'static, limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            issuer: Box::new(issuer),
            limit,
            held: ArcSwapOption::empty(),
            failed: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            asking: Mutex::new(()),
        })
    }

    async fn ask(&self, refused: Option<&Issued<C>>) -> Result<Issued<C>, CredentialError> {
        match tokio::time::timeout(self.limit, self.issuer.issue(refused)).await {
            Ok(issued) => issued,
            Err(_) => Err(CredentialError::Unreachable("credentials were not given in time".to_owned())),
        }
    }

    /// Keeps `issued`; says whether it differs from what was held.
    fn keep(&self, issued: Issued<C>) -> bool {
        let changed = self.held.load().as_ref().is_none_or(|held| *held.credential != *issued.credential);
        self.held.store(Some(Arc::new(issued)));
        if changed {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        changed
    }
}

#[async_trait]
impl<C: PartialEq + Send + Sync> CredentialProvider for Renewing<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let good = |held: &Option<Arc<Issued<C>>>| {
            held.as_ref()
                .filter(|held| Instant::now() < held.renew_at)
                .map(|held| Arc::clone(&held.credential))
        };
        if let Some(credential) = good(&self.held.load_full()) {
            return Ok(credential);
        }
        let valid = |held: Option<Arc<Issued<C>>>| {
            held.filter(|held| held.expires_at.is_none_or(|end| Instant::now() < end))
        };
        let _asking = match self.asking.try_lock() {
            Ok(asking) => asking,
            // Another request asks already: while the old one holds, nobody needs to wait.
            Err(_) => match valid(self.held.load_full()) {
                Some(held) => return Ok(Arc::clone(&held.credential)),
                None => self.asking.lock().await,
            },
        };
        if let Some(credential) = good(&self.held.load_full()) {
            return Ok(credential);
        }
        if let Some((at, error)) = self.failed.load_full().as_deref()
            && at.elapsed() < FAILURE_HOLDS
        {
            return Err(error.clone().into());
        }
        match self.ask(None).await {
            Ok(issued) => {
                let credential = Arc::clone(&issued.credential);
                self.keep(issued);
                Ok(credential)
            }
            Err(error) => match valid(self.held.load_full()) {
                // What is held goes on working until the store says otherwise.
                Some(held) => {
                    tracing::warn!(%error, "store credentials could not be renewed; the old ones are used");
                    self.held.store(Some(Arc::new(Issued {
                        credential: Arc::clone(&held.credential),
                        renew_at: Instant::now() + TRY_AGAIN,
                        ..*held
                    })));
                    Ok(Arc::clone(&held.credential))
                }
                None => {
                    self.failed.store(Some(Arc::new((Instant::now(), error.clone()))));
                    Err(error.into())
                }
            },
        }
    }
}

#[async_trait]
impl<C: PartialEq + Send + Sync> Renew for Renewing<C> {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    async fn renew(&self, generation: u64) -> bool {
        let _asking = self.asking.lock().await;
        if self.generation() != generation {
            // Another request has had it renewed meanwhile.
            return true;
        }
        let held = self.held.load_full();
        match self.ask(held.as_deref()).await {
            Ok(issued) => self.keep(issued),
            Err(error) => {
                tracing::warn!(%error, "a store refused its credentials, and newer ones could not be had");
                false
            }
        }
    }
}

/// A file that is no secret of ours to guard, such as a token that the platform puts there.
#[derive(Debug)]
pub(super) struct PlatformFile(pub(super) PathBuf);

impl SecretSource for PlatformFile {
    fn read(&self) -> Result<Zeroizing<String>, String> {
        let text = std::fs::read_to_string(&self.0)
            .map_err(|error| format!("cannot read {}: {error}", self.0.display()))?;
        let text = Zeroizing::new(text);
        match text.trim() {
            "" => Err(format!("{} is empty", self.0.display())),
            trimmed => Ok(Zeroizing::new(trimmed.to_owned())),
        }
    }
}

/// Reads references away from the async threads.
pub(super) async fn read_all(secrets: &[Secret]) -> Result<Vec<Zeroizing<String>>, CredentialError> {
    let secrets = secrets.to_vec();
    let read = move || secrets.iter().map(|secret| secret.read()).collect::<Result<Vec<_>, String>>();
    match tokio::task::spawn_blocking(read).await {
        Ok(values) => values.map_err(CredentialError::Unusable),
        Err(_) => Err(CredentialError::Unusable("reading the credentials failed unexpectedly".to_owned())),
    }
}

/// A shared provider of credentials.
pub(super) type Provider<C> = Arc<dyn CredentialProvider<Credential = C>>;

/// A provider of object_store's whose errors say who gives the credentials out.
pub(super) struct Named<C> {
    /// Who does, for messages.
    pub(super) who: &'static str,
    pub(super) inner: Provider<C>,
}

impl<C> fmt::Debug for Named<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("who", &self.who).finish_non_exhaustive()
    }
}

#[async_trait]
impl<C: Send + Sync> CredentialProvider for Named<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let given = self.inner.get_credential().await;
        given.map_err(|error| CredentialError::from_provider(self.who, &error).into())
    }
}

/// Makes one of object_store's own providers out of the values of its secrets.
type Build<C> = dyn Fn(&[Zeroizing<String>]) -> object_store::Result<Provider<C>> + Send + Sync;

/// Credentials that one of object_store's providers makes out of secrets; made anew when they change.
pub(super) struct FromSecrets<C> {
    /// Who gives credentials out, for messages.
    who: &'static str,
    secrets: Vec<Secret>,
    build: Arc<Build<C>>,
    made: Mutex<Option<Made<C>>>,
}

/// A provider, the values that it was made of, and when.
struct Made<C> {
    values: Vec<Zeroizing<String>>,
    provider: Provider<C>,
    at: Instant,
}

impl<C> FromSecrets<C> {
    pub(super) fn new(
        who: &'static str,
        secrets: Vec<Secret>,
        build: impl Fn(&[Zeroizing<String>]) -> object_store::Result<Provider<C>> + Send + Sync + 'static,
    ) -> Self {
        Self { who, secrets, build: Arc::new(build), made: Mutex::new(None) }
    }
}

#[async_trait]
impl<C: Send + Sync + 'static> Issuer<C> for FromSecrets<C> {
    async fn issue(&self, refused: Option<&Issued<C>>) -> Result<Issued<C>, CredentialError> {
        let values = read_all(&self.secrets).await?;
        let mut made = self.made.lock().await;
        // What was refused may have been revoked; but not every refused request asks for another.
        let doubtful = |made: &Made<C>| refused.is_some() && made.at.elapsed() > LOOK_AGAIN;
        let provider = match made.as_ref() {
            Some(made) if made.values == values && !doubtful(made) => Arc::clone(&made.provider),
            _ => {
                let build = Arc::clone(&self.build);
                // Making a provider reads certificates and files.
                let work = move || build(&values).map(|provider| (values, provider));
                let (values, provider) = match tokio::task::spawn_blocking(work).await {
                    Ok(Ok(new)) => new,
                    // The text may quote the secret.
                    Ok(Err(_)) | Err(_) => {
                        return Err(CredentialError::Unusable(format!(
                            "the secret is not one that {} takes, or not whole",
                            self.who
                        )));
                    }
                };
                *made = Some(Made { values, provider: Arc::clone(&provider), at: Instant::now() });
                provider
            }
        };
        let credential = provider
            .get_credential()
            .await
            .map_err(|error| CredentialError::from_provider(self.who, &error))?;
        Ok(Issued::until_changed(credential))
    }
}
