//! The views in force: swapped whole, together with the policies that were checked against them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use futures::executor::block_on;
use lakeward_catalog::CatalogSnapshot;
use lakeward_policy::document::Diagnostics;
use lakeward_policy::{PolicySnapshot, Securable};
use parking_lot::Mutex;

use super::compile::CompiledViews;
use super::listing::Listings;
use super::parse::ViewSet;
use super::rows::declassified;

/// Holds the views in force and what they are at the newest catalog snapshot.
#[derive(Debug)]
pub struct Views {
    file: Option<PathBuf>,
    /// None while views and policies change together: who comes meanwhile waits for both.
    current: ArcSwapOption<ViewSet>,
    compiled: Mutex<Option<Arc<CompiledViews>>>,
    pub(super) listings: Listings,
}

/// Views that may be put in force.
#[derive(Debug)]
pub(crate) struct Changed {
    set: Arc<ViewSet>,
    pub(crate) compiled: Arc<CompiledViews>,
    /// Whether they differ from those in force.
    pub(crate) differs: bool,
}

impl Views {
    /// No views, now or later.
    #[must_use]
    pub fn none() -> Self {
        Self {
            file: None,
            current: ArcSwapOption::from_pointee(ViewSet::empty()),
            compiled: Mutex::default(),
            listings: Listings::default(),
        }
    }

    /// Loads `file` and checks it against the tables there are. Reads files: not for async tasks.
    pub(crate) fn load(file: Option<PathBuf>, catalog: &Arc<CatalogSnapshot>) -> Result<Self, Diagnostics> {
        let views = Self { file, ..Self::none() };
        let first = views.changed(catalog)?;
        views.put_in_force(first);
        Ok(views)
    }

    /// The file, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Every view as policies see it.
    pub async fn securables(&self, catalog: &Arc<CatalogSnapshot>) -> Vec<Securable> {
        self.compiled(&*self.settled().await, catalog).await.securables(catalog).collect()
    }

    /// What an operator is told of the views: how many, those that are unavailable, and the tags that the file
    /// takes from their columns.
    pub async fn describe(&self, catalog: &Arc<CatalogSnapshot>, policies: &PolicySnapshot) -> Vec<String> {
        let compiled = self.compiled(&*self.settled().await, catalog).await;
        let mut lines = Vec::new();
        for view in compiled.iter() {
            let name = view.parsed.definition.full_name();
            match &view.shape {
                Ok(shape) => {
                    let declassified = declassified(shape, policies);
                    lines.extend(
                        declassified.into_iter().map(|(column, tags)| {
                            format!("declassified: {name}.{column}: {}", tags.join(", "))
                        }),
                    );
                }
                Err(broken) => lines.push(format!("unavailable: view {name}: {}", broken.reason)),
            }
        }
        if self.file.is_some() {
            lines.push(format!("views: {}", compiled.iter().count()));
        }
        lines
    }

    /// The set in force; None for the moment in which it changes.
    pub(crate) fn current(&self) -> Option<Arc<ViewSet>> {
        self.current.load_full()
    }

    /// The set in force, once nothing changes.
    pub(crate) async fn settled(&self) -> Arc<ViewSet> {
        loop {
            match self.current() {
                Some(set) => return set,
                None => tokio::task::yield_now().await,
            }
        }
    }

    /// Whether `set` was in force all along since it was taken.
    pub(crate) fn is_current(&self, set: &Arc<ViewSet>) -> bool {
        self.current.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, set))
    }

    /// The views at one catalog snapshot; planned once for all sessions.
    pub(crate) async fn compiled(&self, set: &ViewSet, catalog: &Arc<CatalogSnapshot>) -> Arc<CompiledViews> {
        let known = self.compiled.lock().clone();
        if let Some(known) = known
            && (known.epoch, known.generation) == (set.epoch, catalog.generation)
        {
            return known;
        }
        let compiled = Arc::new(CompiledViews::new(set, catalog).await);
        *self.compiled.lock() = Some(Arc::clone(&compiled));
        compiled
    }

    /// The same for one who keeps views from changing and may block.
    pub(crate) fn compiled_now(&self, catalog: &Arc<CatalogSnapshot>) -> Arc<CompiledViews> {
        let set = self.current().unwrap_or_else(|| Arc::new(ViewSet::empty()));
        block_on(self.compiled(&set, catalog))
    }

    /// Reads the file and checks what differs from the views in force: a view that a table's change broke is
    /// unavailable, and no reason to refuse a file. Reads files: not for async tasks.
    pub(crate) fn changed(&self, catalog: &Arc<CatalogSnapshot>) -> Result<Changed, Diagnostics> {
        let current = self.current().unwrap_or_else(|| Arc::new(ViewSet::empty()));
        let set = match &self.file {
            None => Arc::clone(&current),
            Some(file) => {
                let next = ViewSet::parse(file, &read(file)?, current.epoch + 1)?;
                if next.digest == current.digest { Arc::clone(&current) } else { Arc::new(next) }
            }
        };
        let differs = !Arc::ptr_eq(&set, &current);
        let compiled = Arc::new(block_on(CompiledViews::new(&set, catalog)));
        let is_new = |name: &str| !matches!((current.get(name), set.get(name)), (Some(known), Some(now)) if known.definition.says_same(&now.definition));
        let problems: Vec<_> = compiled
            .iter()
            .filter(|view| is_new(&view.parsed.definition.full_name()))
            .filter_map(super::CompiledView::complaint)
            .collect();
        if problems.is_empty() { Ok(Changed { set, compiled, differs }) } else { Err(Diagnostics(problems)) }
    }

    /// Nothing is in force from here to [`Self::put_in_force`], which must follow at once.
    pub(crate) fn put_aside(&self) {
        self.current.store(None);
    }

    pub(crate) fn put_in_force(&self, changed: Changed) {
        *self.compiled.lock() = Some(changed.compiled);
        self.current.store(Some(changed.set));
    }
}

/// Reads a file that nobody is writing.
fn read(file: &Path) -> Result<String, Diagnostics> {
    let once = || {
        std::fs::read_to_string(file)
            .map_err(|error| Diagnostics::file(file, format!("cannot be read: {error}")))
    };
    let text = once()?;
    if once()? != text {
        return Err(Diagnostics::file(file, "the file is being written; read again when it stays"));
    }
    Ok(text)
}
