//! What users, tenants, roles and attributes may be called.

/// Longest name in bytes: what PostgreSQL clients and tools can show.
const MAX_NAME: usize = 63;
const MAX_ATTRIBUTE_VALUE: usize = 1024;

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty or longer than 63 bytes.
    #[error("expected a name of 1 to {MAX_NAME} bytes")]
    Length,
    /// A character with a meaning in policies, plans or connection strings.
    #[error("expected letters, digits, `_`, `-`, `.`, `+` or `@`, and a letter, digit or `_` first")]
    Character,
    /// Attribute keys are written in policies as `principal.attr('key')`.
    #[error("expected an attribute name of lower-case letters, digits and `_`, a letter first")]
    AttributeKey,
    /// Attribute value too long or with control characters.
    #[error("expected an attribute value of at most {MAX_ATTRIBUTE_VALUE} bytes without control characters")]
    AttributeValue,
}

/// Checks the name of a user, tenant or role. Wildcards such as `*` are no names: a policy that
/// means everyone must not be met by an account that is called so.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(NameError::Length);
    }
    let starts_well = name.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let all_allowed = name.chars().all(|c| c.is_alphanumeric() || "_-.+@".contains(c));
    if starts_well && all_allowed { Ok(()) } else { Err(NameError::Character) }
}

/// Checks the key of an attribute.
///
/// # Errors
/// What is wrong with it.
pub fn check_attribute_key(key: &str) -> Result<(), NameError> {
    let starts_well = key.starts_with(|c: char| c.is_ascii_lowercase());
    let all_allowed = key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if key.len() <= MAX_NAME && starts_well && all_allowed { Ok(()) } else { Err(NameError::AttributeKey) }
}

/// Checks the value of an attribute.
///
/// # Errors
/// What is wrong with it.
pub fn check_attribute_value(value: &str) -> Result<(), NameError> {
    if value.len() <= MAX_ATTRIBUTE_VALUE && !value.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(NameError::AttributeValue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_accepted_and_wildcards_are_not() {
        for name in ["alice", "Ana-María", "o.brien@trust.nhs.uk", "_svc", "9lives", "a+b"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["*", "a*", "a b", "-x", ".x", "@x", "a,b", "a\"b", "a'b", "a:b", "a/b", "a\n", "a\0"] {
            assert_eq!(check_name(name), Err(NameError::Character), "{name:?}");
        }
        assert_eq!(check_name(""), Err(NameError::Length));
        assert_eq!(check_name(&"a".repeat(64)), Err(NameError::Length));
    }

    #[test]
    fn attributes_are_plain() {
        assert_eq!(check_attribute_key("practice_2"), Ok(()));
        for key in ["", "Practice", "2x", "a-b", "a'b"] {
            assert_eq!(check_attribute_key(key), Err(NameError::AttributeKey), "{key}");
        }
        assert_eq!(check_attribute_value("O'Brien; \"x\""), Ok(()));
        assert_eq!(check_attribute_value("a\nb"), Err(NameError::AttributeValue));
        assert_eq!(check_attribute_value(&"x".repeat(1025)), Err(NameError::AttributeValue));
    }
}
