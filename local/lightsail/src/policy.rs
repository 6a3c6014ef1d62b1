//! Whether a repository policy lets a role of another account pull.

use serde_json::Value;

/// What a repository policy must allow for a pull (AWS documentation of Lightsail's private registry access).
pub const PULL_ACTIONS: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];

/// Checks that the policy allows `principal` every one of [`PULL_ACTIONS`] and denies none.
///
/// `account_grants` tells whether naming the principal's whole account allows it. A statement with an element
/// or a condition that is not evaluated here (`NotPrincipal`, `NotAction`, operators other than the positive
/// string and ARN ones) never allows, and denies.
///
/// # Errors
/// A sentence that names the action and what stands against it.
pub fn check_pull(policy: &str, principal: &str, account_grants: bool) -> Result<(), String> {
    let policy: Value = serde_json::from_str(policy)
        .map_err(|error| format!("The repository policy is not JSON: {error}."))?;
    let statements = one_or_many(&policy["Statement"]);
    let caller = Caller { arn: principal, account_grants };
    for action in PULL_ACTIONS {
        let applies = |statement: &&&Value, effect| {
            statement["Effect"] == effect && caller.is_meant_by(statement, action, effect == "Deny")
        };
        if statements.iter().any(|statement| applies(&statement, "Deny")) {
            return Err(format!("The repository policy denies {action} to {principal}."));
        }
        if !statements.iter().any(|statement| applies(&statement, "Allow")) {
            return Err(format!("The repository policy does not allow {action} to {principal}."));
        }
    }
    Ok(())
}

struct Caller<'a> {
    arn: &'a str,
    account_grants: bool,
}

impl Caller<'_> {
    fn is_meant_by(&self, statement: &Value, action: &str, denies: bool) -> bool {
        let has = |element: &str| statement.get(element).is_some();
        if has("NotPrincipal") || has("NotAction") {
            return denies;
        }
        self.is_named_by(&statement["Principal"], denies)
            && one_or_many(&statement["Action"])
                .iter()
                .filter_map(|pattern| pattern.as_str())
                .any(|pattern| glob(&pattern.to_lowercase(), &action.to_lowercase()))
            && self.meets(&statement["Condition"]).unwrap_or(denies)
    }

    fn is_named_by(&self, principal: &Value, denies: bool) -> bool {
        let account = self.account();
        let root = format!("arn:aws:iam::{account}:root");
        let names = if principal == "*" { vec![principal] } else { one_or_many(&principal["AWS"]) };
        names.iter().filter_map(|name| name.as_str()).any(|name| {
            name == "*"
                || name == self.arn
                || ((denies || self.account_grants) && (name == account || name == root))
        })
    }

    /// Whether every condition is met; `None` when one is not evaluated here.
    fn meets(&self, conditions: &Value) -> Option<bool> {
        let Value::Object(conditions) = conditions else { return Some(true) };
        let mut all_met = true;
        for (operator, keys) in conditions {
            let matches: fn(&str, &str) -> bool = match operator.as_str() {
                "StringEquals" => |wanted, given| wanted == given,
                "StringLike" | "ArnLike" | "ArnEquals" => glob,
                _ => return None,
            };
            for (key, wanted) in keys.as_object()? {
                // A key that the request does not carry, such as aws:SourceArn, does not match.
                let given = match key.to_lowercase().as_str() {
                    "aws:principalarn" => Some(self.arn),
                    "aws:principalaccount" => Some(self.account()),
                    _ => None,
                };
                let wanted = one_or_many(wanted);
                all_met &= given.is_some_and(|given| {
                    wanted.iter().filter_map(|wanted| wanted.as_str()).any(|wanted| matches(wanted, given))
                });
            }
        }
        Some(all_met)
    }

    fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or_default()
    }
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

/// Whether `text` matches `pattern`, in which `*` stands for any characters and `?` for one.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            text.char_indices()
                .map(|(index, _)| index)
                .chain([text.len()])
                .any(|index| glob(rest, &text[index..]))
        }
        Some(wanted) => {
            let mut characters = text.chars();
            characters.next().is_some_and(|character| wanted == '?' || wanted == character)
                && glob(&pattern[wanted.len_utf8()..], characters.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROLE: &str =
        "arn:aws:iam::111122223333:role/amazon/lightsail/us-east-1/containers/api/private-repo-access/x";

    fn allow(changes: Value) -> Value {
        let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": PULL_ACTIONS});
        if let (Value::Object(statement), Value::Object(changes)) = (&mut statement, changes) {
            statement.extend(changes);
        }
        statement
    }

    fn is_allowed(statements: Value) -> bool {
        check_pull(&json!({"Statement": statements}).to_string(), ROLE, false).is_ok()
    }

    #[test]
    fn the_documented_policy_allows_the_pull() {
        assert!(is_allowed(json!([allow(json!({}))])));
        assert!(is_allowed(allow(json!({"Principal": {"AWS": ["arn:aws:iam::1:root", ROLE]}}))));
        assert!(is_allowed(allow(json!({"Action": "ecr:*"}))));
        assert!(is_allowed(allow(json!({"Action": ["ECR:batchgetimage", "ecr:GetDownloadUrl*"]}))));
        assert!(is_allowed(allow(json!({"Principal": "*"}))));
    }

    #[test]
    fn another_principal_or_a_missing_action_does_not() {
        let others = json!({"Principal": {"AWS": ROLE.replace("/api/", "/other/")}});
        assert!(!is_allowed(allow(others)));
        assert!(!is_allowed(allow(json!({"Action": "ecr:BatchGetImage"}))));
        assert!(!is_allowed(allow(json!({"Principal": {"Service": "lightsail.amazonaws.com"}}))));
        assert!(!is_allowed(json!([])));
    }

    #[test]
    fn a_deny_wins() {
        let deny = allow(json!({"Effect": "Deny", "Principal": "*", "Action": "ecr:BatchGetImage"}));
        assert!(!is_allowed(json!([allow(json!({})), deny])));
        let deny_account = allow(json!({"Effect": "Deny", "Principal": {"AWS": "111122223333"}}));
        assert!(!is_allowed(json!([deny_account, allow(json!({}))])));
    }

    #[test]
    fn conditions_on_the_principal_are_evaluated_and_absent_keys_do_not_match() {
        let when = |condition: Value| allow(json!({"Principal": "*", "Condition": condition}));
        let like = "arn:aws:iam::111122223333:role/amazon/lightsail/*/containers/api/*";
        assert!(is_allowed(when(json!({"ArnLike": {"aws:PrincipalArn": like}}))));
        assert!(is_allowed(when(json!({"StringEquals": {"aws:PrincipalAccount": ["1", "111122223333"]}}))));
        assert!(!is_allowed(when(json!({"ArnLike": {"aws:PrincipalArn": like.replace("/api/", "/b/")}}))));
        assert!(!is_allowed(when(json!({"ArnLike": {"aws:SourceArn": "*"}}))));
        assert!(!is_allowed(when(json!({"DateLessThan": {"aws:CurrentTime": "2099-01-01"}}))));
    }

    #[test]
    fn naming_the_account_allows_only_when_the_setting_says_so() {
        let policy =
            json!({"Statement": allow(json!({"Principal": {"AWS": "arn:aws:iam::111122223333:root"}}))});
        assert!(check_pull(&policy.to_string(), ROLE, false).is_err());
        assert!(check_pull(&policy.to_string(), ROLE, true).is_ok());
    }
}
