//! What every backend of the control state must pass.
//!
//! Call [`run`] from a backend's test with something that opens handles on one new, empty state.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;
use tokio_util::task::AbortOnDropHandle;

use super::state::list_all;
use super::{Condition, ControlError, ControlState, Key, MAX_VALUE, Version};

/// Tasks that race for one key.
const RACERS: usize = 24;
/// Increments of each in the race for a counter.
const INCREMENTS: usize = 8;

/// A promise of [`ControlState`] that does not hold, or an error on the way.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// The backend broke a promise.
    #[error("{0}")]
    Broken(String),
    /// The backend failed.
    #[error(transparent)]
    Failed(#[from] ControlError),
    /// A task of the test itself ended early.
    #[error(transparent)]
    Lost(#[from] tokio::task::JoinError),
}

type Checked = Result<(), Violation>;
type State = Arc<dyn ControlState>;

macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(Violation::Broken(format!($($text)+)));
        }
    };
}

/// Checks all promises of a backend. `open` gives handles on the same state, which must be empty at the
/// first call; two are opened, as two processes would.
///
/// # Errors
/// The first promise that does not hold.
pub async fn run<F, O>(open: F) -> Result<(), Violation>
where
    F: Fn() -> O,
    O: Future<Output = Result<State, ControlError>>,
{
    let (one, two) = (open().await?, open().await?);
    conditions(&one, &two).await?;
    versions_are_never_reused(&one).await?;
    sizes(&one).await?;
    folders(&one, &two).await?;
    pages(&one).await?;
    one_creator(&one, &two).await?;
    one_deleter(&one, &two).await?;
    no_lost_update(&one, &two).await?;
    reads_never_go_back(&one, &two).await?;
    reopened(&one, open().await?).await
}

fn key(text: &str) -> Result<Key, ControlError> {
    Key::new(text)
}

fn conflict<T>(result: &Result<T, ControlError>) -> bool {
    matches!(result, Err(ControlError::Conflict { .. }))
}

async fn conditions(one: &State, two: &State) -> Checked {
    let key = key("conditions/record")?;
    ensure!(one.get(&key).await?.is_none(), "a record that was never written exists");
    let never = Version::new("never");
    let early = one.put(&key, Bytes::from_static(b"x"), Condition::Is(never.clone())).await;
    ensure!(conflict(&early), "a record that does not exist was replaced");
    ensure!(conflict(&one.delete(&key, &never).await), "a record that does not exist was deleted");

    let first = one.put(&key, Bytes::from_static(b"first"), Condition::Absent).await?;
    let seen = two.get(&key).await?;
    ensure!(
        seen.as_ref().is_some_and(|entry| entry.value == "first" && entry.version == first),
        "another handle does not see what was written: {seen:?}"
    );
    let again = two.put(&key, Bytes::from_static(b"again"), Condition::Absent).await;
    ensure!(conflict(&again), "an existing record was created");

    let second = two.put(&key, Bytes::from_static(b"second"), Condition::Is(first.clone())).await?;
    ensure!(second != first, "two writes have one version");
    let stale = one.put(&key, Bytes::from_static(b"stale"), Condition::Is(first.clone())).await;
    ensure!(conflict(&stale), "a write with a stale version happened");
    ensure!(conflict(&one.delete(&key, &first).await), "a deletion with a stale version happened");
    let seen = one.get(&key).await?;
    ensure!(
        seen.as_ref().is_some_and(|entry| entry.value == "second" && entry.version == second),
        "a refused write left traces: {seen:?}"
    );
    one.delete(&key, &second).await?;
    ensure!(two.get(&key).await?.is_none(), "a deleted record exists");
    ensure!(conflict(&two.delete(&key, &second).await), "a record was deleted twice");
    Ok(())
}

async fn versions_are_never_reused(state: &State) -> Checked {
    let key = key("versions/record")?;
    let value = Bytes::from_static(b"always the same");
    let mut seen = HashSet::new();
    for _ in 0..4 {
        let mut version = state.put(&key, value.clone(), Condition::Absent).await?;
        ensure!(seen.insert(version.clone()), "a new record has the version of a deleted one");
        version = state.put(&key, value.clone(), Condition::Is(version)).await?;
        ensure!(seen.insert(version.clone()), "writing the same bytes again gave an old version");
        state.delete(&key, &version).await?;
    }
    Ok(())
}

async fn sizes(state: &State) -> Checked {
    let key = key("sizes/record")?;
    let empty = state.put(&key, Bytes::new(), Condition::Absent).await?;
    let seen = state.get(&key).await?;
    ensure!(seen.is_some_and(|entry| entry.value.is_empty()), "an empty value did not come back");
    let largest = Bytes::from(vec![b'\n'; MAX_VALUE]);
    let full = state.put(&key, largest.clone(), Condition::Is(empty)).await?;
    let seen = state.get(&key).await?;
    ensure!(seen.is_some_and(|entry| entry.value == largest), "the largest value did not come back");
    let larger = Bytes::from(vec![0; MAX_VALUE + 1]);
    let refused = state.put(&key, larger, Condition::Is(full)).await;
    ensure!(matches!(refused, Err(ControlError::TooLarge { .. })), "a value above the bound was taken");
    let seen = state.get(&key).await?;
    ensure!(seen.is_some_and(|entry| entry.value == largest), "a refused value replaced another");
    Ok(())
}

async fn folders(one: &State, two: &State) -> Checked {
    let names = ["folders/a", "folders/a-b", "folders/a/b", "folders/a/b/c", "folders/a/d", "folders/ab/c"];
    for name in names {
        one.put(&key(name)?, Bytes::from_static(name.as_bytes()), Condition::Absent).await?;
    }
    for (folder, expected) in [
        ("folders/a", &names[2..5]),
        ("folders/a/b", &names[3..4]),
        ("folders/ab", &names[5..]),
        ("folders", &names[..]),
        ("folders/none", &[]),
    ] {
        let found = list_all(two.as_ref(), &key(folder)?).await?;
        let mut found: Vec<_> = found.iter().map(Key::as_str).collect();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let ordered = found.is_sorted();
        found.sort_unstable();
        ensure!(found == expected, "folder {folder} has {found:?} instead of {expected:?}");
        ensure!(ordered, "the keys of {folder} are not in order");
    }
    // A record and a folder of one name are apart.
    let record = key("folders/a")?;
    let entry = one.get(&record).await?;
    ensure!(entry.as_ref().is_some_and(|entry| entry.value == "folders/a"), "a folder hides its record");
    if let Some(entry) = entry {
        two.delete(&record, &entry.version).await?;
    }
    let left = list_all(one.as_ref(), &record).await?;
    ensure!(left.len() == 3, "deleting a record changed the folder of its name: {left:?}");
    Ok(())
}

async fn pages(state: &State) -> Checked {
    let folder = key("pages")?;
    let mut expected = Vec::new();
    for number in 0..30 {
        let key = folder.child(&format!("k{number:03}"))?;
        state.put(&key, Bytes::new(), Condition::Absent).await?;
        expected.push(key);
    }
    let first = state.list(&folder, None).await?;
    ensure!(!first.keys.is_empty(), "the first page of a listing is empty");
    let from_middle = state.list(&folder, expected.get(14)).await?;
    ensure!(
        from_middle.keys.first() == expected.get(15),
        "a page does not start after the key that was asked for"
    );
    ensure!(list_all(state.as_ref(), &folder).await? == expected, "the pages miss or repeat keys");
    Ok(())
}

/// Runs `work` in many tasks at once, half of them on each handle.
async fn race<T, F, O>(one: &State, two: &State, work: F) -> Result<Vec<T>, Violation>
where
    T: Send + 'static,
    F: Fn(usize, State) -> O,
    O: Future<Output = Result<T, Violation>> + Send + 'static,
{
    let tasks = (0..RACERS).map(|racer| {
        let state = if racer % 2 == 0 { one } else { two };
        AbortOnDropHandle::new(tokio::spawn(work(racer, Arc::clone(state))))
    });
    try_join_all(tasks).await?.into_iter().collect()
}

async fn one_creator(one: &State, two: &State) -> Checked {
    let key = key("race/creation")?;
    let created = race(one, two, |racer, state| {
        let key = key.clone();
        async move {
            match state.put(&key, Bytes::from(format!("{racer}")), Condition::Absent).await {
                Ok(_) => Ok(Some(racer)),
                Err(ControlError::Conflict { .. }) => Ok(None),
                Err(other) => Err(other.into()),
            }
        }
    })
    .await?;
    let winners: Vec<_> = created.into_iter().flatten().collect();
    ensure!(winners.len() == 1, "one record was created by {winners:?}");
    let stored = one.get(&key).await?.map(|entry| entry.value);
    let winner = winners.first().map(|winner| Bytes::from(winner.to_string()));
    ensure!(stored == winner, "the record is not the winner's");
    Ok(())
}

async fn one_deleter(one: &State, two: &State) -> Checked {
    let key = key("race/deletion")?;
    let version = one.put(&key, Bytes::new(), Condition::Absent).await?;
    let deleted = race(one, two, |racer, state| {
        let (key, version) = (key.clone(), version.clone());
        async move {
            // Some replace the record, some delete it: one of all of them succeeds.
            let done = if racer % 3 == 0 {
                state.put(&key, Bytes::from_static(b"replaced"), Condition::Is(version)).await.map(drop)
            } else {
                state.delete(&key, &version).await
            };
            match done {
                Ok(()) => Ok(1),
                Err(ControlError::Conflict { .. }) => Ok(0),
                Err(other) => Err(other.into()),
            }
        }
    })
    .await?;
    let winners: usize = deleted.into_iter().sum();
    ensure!(winners == 1, "{winners} writes of one version succeeded");
    Ok(())
}

/// A number and padding that changes the size of the value: torn values do not parse.
fn counter(number: usize) -> Bytes {
    Bytes::from(format!("{number} {} {number}", "x".repeat(number * 37 % 5000)))
}

fn number(value: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(value).ok()?;
    let number = text.split(' ').next()?.parse().ok()?;
    (counter(number) == value).then_some(number)
}

async fn no_lost_update(one: &State, two: &State) -> Checked {
    let key = key("race/counter")?;
    one.put(&key, counter(0), Condition::Absent).await?;
    let versions = race(one, two, |_, state| {
        let key = key.clone();
        async move {
            let mut versions = Vec::new();
            while versions.len() < INCREMENTS {
                let Some(entry) = state.get(&key).await? else {
                    return Err(Violation::Broken("a record is gone while it is replaced".to_owned()));
                };
                let Some(current) = number(&entry.value) else {
                    return Err(Violation::Broken("a value was read in pieces".to_owned()));
                };
                match state.put(&key, counter(current + 1), Condition::Is(entry.version)).await {
                    Ok(version) => versions.push(version),
                    Err(ControlError::Conflict { .. }) => tokio::task::yield_now().await,
                    Err(other) => return Err(other.into()),
                }
            }
            Ok(versions)
        }
    })
    .await?;
    let versions: Vec<_> = versions.into_iter().flatten().collect();
    let total = one.get(&key).await?.and_then(|entry| number(&entry.value));
    ensure!(total == Some(RACERS * INCREMENTS), "updates were lost: {total:?}");
    let distinct: HashSet<_> = versions.iter().collect();
    ensure!(distinct.len() == versions.len(), "two writes have one version");
    Ok(())
}

async fn reads_never_go_back(one: &State, two: &State) -> Checked {
    const LAST: usize = 40;
    let key = key("race/reads")?;
    let mut version = one.put(&key, counter(0), Condition::Absent).await?;
    let readers: Vec<_> = [one, two, two]
        .into_iter()
        .map(|state| {
            let (state, key) = (Arc::clone(state), key.clone());
            AbortOnDropHandle::new(tokio::spawn(async move {
                let mut newest = 0;
                while newest < LAST {
                    let seen = state.get(&key).await?.and_then(|entry| number(&entry.value));
                    match seen {
                        Some(seen) if seen >= newest => newest = seen,
                        other => {
                            return Err(Violation::Broken(format!("{other:?} was read after {newest}")));
                        }
                    }
                }
                Ok(())
            }))
        })
        .collect();
    for value in 1..=LAST {
        version = one.put(&key, counter(value), Condition::Is(version)).await?;
        let seen = two.get(&key).await?.and_then(|entry| number(&entry.value));
        ensure!(seen == Some(value), "a get after a put has {seen:?} instead of {value}");
    }
    try_join_all(readers).await?.into_iter().collect()
}

async fn reopened(one: &State, later: State) -> Checked {
    let key = key("conditions/kept")?;
    let version = one.put(&key, Bytes::from_static(b"kept"), Condition::Absent).await?;
    let seen = later.get(&key).await?;
    ensure!(
        seen.is_some_and(|entry| entry.value == "kept" && entry.version == version),
        "a handle that was opened later does not see what was written"
    );
    Ok(())
}
