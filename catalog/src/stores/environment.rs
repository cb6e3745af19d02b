//! What the providers' own tools take from the environment.

/// The first of these variables that is set and not empty.
pub(super) fn first(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}
