//! Intent and outcome of every statement, durable before rows leave.
