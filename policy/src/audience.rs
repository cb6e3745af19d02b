//! TO and EXCEPT: whom a rule concerns.

use std::collections::BTreeSet;

/// Roles a rule is for, less the roles it is not for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Audience {
    /// None: everyone.
    to: Option<BTreeSet<String>>,
    except: BTreeSet<String>,
}

impl Audience {
    pub(crate) fn new(to: Option<&[String]>, except: &[String]) -> Self {
        Self { to: to.map(|roles| roles.iter().cloned().collect()), except: except.iter().cloned().collect() }
    }

    /// Whether someone with `roles` (inherited ones included) is concerned.
    pub(crate) fn includes(&self, roles: &BTreeSet<String>) -> bool {
        self.names(roles) && !self.excepts(roles)
    }

    /// The roles it is for; None: everyone.
    pub(crate) fn to(&self) -> Option<&BTreeSet<String>> {
        self.to.as_ref()
    }

    /// Whether someone with `roles` is taken out.
    pub(crate) fn excepts(&self, roles: &BTreeSet<String>) -> bool {
        !self.except.is_disjoint(roles)
    }

    /// Whether someone with `roles` is meant, unless they are taken out.
    pub(crate) fn names(&self, roles: &BTreeSet<String>) -> bool {
        self.to.as_ref().is_none_or(|to| !to.is_disjoint(roles))
    }

    /// Whether some set of roles is concerned by both: then two masks on one column would collide.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let reachable = |audience: &Self| {
            audience.to.as_ref().is_none_or(|to| {
                to.iter().any(|role| !self.except.contains(role) && !other.except.contains(role))
            })
        };
        reachable(self) && reachable(other)
    }

    /// In words: `to analyst except steward`.
    pub(crate) fn describe(&self) -> String {
        let list = |roles: &BTreeSet<String>| roles.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let to = match &self.to {
            None => "everyone".to_owned(),
            Some(to) if to.is_empty() => "nobody".to_owned(),
            Some(to) => format!("to {}", list(to)),
        };
        if self.except.is_empty() { to } else { format!("{to} except {}", list(&self.except)) }
    }

    /// Every role that is named.
    pub(crate) fn roles(&self) -> impl Iterator<Item = &String> {
        self.to.iter().flatten().chain(&self.except)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audience(to: Option<&[&str]>, except: &[&str]) -> Audience {
        let owned = |roles: &[&str]| roles.iter().map(ToString::to_string).collect::<Vec<_>>();
        Audience::new(to.map(owned).as_deref(), &owned(except))
    }

    #[test]
    fn overlap_is_possible_unless_an_exception_separates_them() {
        let everyone = audience(None, &[]);
        let analysts = audience(Some(&["analyst"]), &[]);
        let stewards = audience(Some(&["steward"]), &[]);
        let analysts_not_stewards = audience(Some(&["analyst"]), &["steward"]);
        assert!(everyone.overlaps(&analysts));
        assert!(analysts.overlaps(&stewards), "one user may have both roles");
        assert!(!analysts_not_stewards.overlaps(&stewards));
    }
}
