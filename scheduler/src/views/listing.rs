//! Columns of views with the invoker's rights, as one principal sees them: for `pg_catalog`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use dashmap::DashMap;
use lakeward_policy::Principal;
use lakeward_policy::view::Rights;
use parking_lot::Mutex;

use super::parse::ViewName;
use crate::acting::Acting;
use crate::coordinator::Coordinator;
use crate::error::QueryError;
use crate::governed::GovernedLake;
use crate::settings::Settings;
use crate::view::View;

/// Listings kept; beyond it they start anew.
const LIMIT: usize = 1_000;

/// Columns by view; one that cannot be planned for the principal has none.
pub(crate) type Listing = BTreeMap<ViewName, SchemaRef>;

/// Policy epoch, catalog generation, epoch of the views, and whose: what an account sees depends on the end user
/// that it acts for.
type Key = (u64, u64, u64, Arc<Principal>, Option<Arc<Principal>>);

/// Listings of recent principals: sessions and settings share them.
#[derive(Debug, Default)]
pub(crate) struct Listings(DashMap<Key, Arc<Listing>>);

/// The listing of whom `lake` is for.
pub(crate) async fn of(
    coordinator: &Arc<Coordinator>,
    lake: &GovernedLake,
    acting: &Acting,
    settings: &Arc<Mutex<Settings>>,
) -> Result<Arc<Listing>, QueryError> {
    let views = || lake.visible_views().filter(|view| view.rights() == Rights::Invoker);
    if views().next().is_none() {
        return Ok(Arc::default());
    }
    let key = (
        lake.resolved.snapshot().epoch(),
        lake.catalog.generation,
        lake.views.epoch,
        Arc::clone(&acting.account),
        acting.end_user.as_ref().map(|user| Arc::new(user.principal.clone())),
    );
    let known = &coordinator.views().listings.0;
    if let Some(listing) = known.get(&key) {
        return Ok(Arc::clone(&listing));
    }
    // A session's view that lists none of them can plan all of them.
    let planner = View::new(coordinator, lake.of_other_session(), acting, settings, &Arc::default())?;
    let mut listing = Listing::new();
    for view in views() {
        let definition = &view.parsed.definition;
        if let Ok(Some(provider)) = super::invoker_provider(&planner.lake, view).await {
            listing.insert((definition.schema.clone(), definition.name.clone()), provider.schema());
        }
    }
    let listing = Arc::new(listing);
    if known.len() >= LIMIT {
        known.clear();
    }
    known.insert(key, Arc::clone(&listing));
    Ok(listing)
}
