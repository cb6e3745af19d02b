//! Which partition of a scan reads which files.

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;

/// Up to this many files, each goes where there is least to read; beyond, runs of neighbours do as well.
const BALANCED: usize = 4096;

/// Spreads files over at most `target` groups of about equal bytes, the same way every time. A scan
/// without files is one empty group, so that plans look alike whether or not all files were skipped.
pub(super) fn file_groups(files: Vec<PartitionedFile>, target: usize) -> Vec<FileGroup> {
    let groups = target.max(1).min(files.len().max(1));
    if files.len() > BALANCED { runs(files, groups) } else { balanced(files, groups) }
}

/// Largest first, each to the emptiest group.
fn balanced(mut files: Vec<PartitionedFile>, groups: usize) -> Vec<FileGroup> {
    files.sort_by(|a, b| {
        let order = b.object_meta.size.cmp(&a.object_meta.size);
        order.then_with(|| a.object_meta.location.cmp(&b.object_meta.location))
    });
    let mut filled: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, Vec::new()); groups];
    for file in files {
        if let Some((bytes, group)) = filled.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes = bytes.saturating_add(file.object_meta.size);
            group.push(file);
        }
    }
    filled
        .into_iter()
        .map(|(_, mut group)| {
            group.sort_by(|a, b| a.object_meta.location.cmp(&b.object_meta.location));
            FileGroup::new(group)
        })
        .collect()
}

/// Neighbours stay together, each group with its share of the bytes.
fn runs(files: Vec<PartitionedFile>, groups: usize) -> Vec<FileGroup> {
    let total: u64 = files.iter().map(|file| file.object_meta.size).sum();
    let share = (total / groups as u64).max(1);
    let mut runs = vec![Vec::new(); groups];
    let mut before = 0_u64;
    for file in files {
        let run = usize::try_from(before / share).unwrap_or(groups).min(groups - 1);
        before = before.saturating_add(file.object_meta.size);
        runs[run].push(file);
    }
    runs.retain(|run| !run.is_empty());
    runs.into_iter().map(FileGroup::new).collect()
}
