//! The statement in an ECR repository's policy that lets one container service pull.

use serde_json::{Value, json};

use crate::Error;

/// The actions that Lightsail's puller role needs (the Lightsail documentation on private ECR repositories).
const ACTIONS: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];

/// `policy` with one statement that lets `principal` pull for `service`; every other statement stays as it is, but for
/// principals that were deleted.
///
/// `policy` is none when the repository has no policy yet. ECR refuses to store a policy that names a deleted principal,
/// and nobody can be one again (IAM guide, "AWS JSON policy elements: Principal"): they are left out.
///
/// # Errors
/// [`Error::Misconfigured`] when the present policy is not a policy document.
pub fn grant(policy: Option<&str>, service: &str, principal: &str) -> Result<String, Error> {
    let mut document = document(policy)?;
    let others = without(&document, service).into_iter().filter_map(without_deleted);
    let statement = json!({
        "Sid": sid(service),
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": ACTIONS,
    });
    document["Statement"] = others.chain([statement]).collect();
    Ok(document.to_string())
}

/// `policy` without the statement of `service`; none when nothing is left of it.
///
/// # Errors
/// [`Error::Misconfigured`] when the policy is not a policy document.
pub fn revoke(policy: &str, service: &str) -> Result<Option<String>, Error> {
    let mut document = document(Some(policy))?;
    let others: Vec<Value> = without(&document, service).into_iter().filter_map(without_deleted).collect();
    if others.is_empty() {
        return Ok(None);
    }
    document["Statement"] = others.into();
    Ok(Some(document.to_string()))
}

/// Whether `policy` has the statement that [`grant`] would write.
pub fn grants(policy: &str, service: &str, principal: &str) -> bool {
    let Ok(document) = document(Some(policy)) else { return false };
    statements(&document)
        .iter()
        .any(|statement| statement["Sid"] == sid(service) && statement["Principal"]["AWS"] == principal)
}

/// Whether `policy` lets `principal` pull, by whichever statements.
///
/// A statement with a condition does not count, because the condition is not looked at; a denial counts always.
pub fn lets_pull(policy: &str, principal: &str) -> bool {
    let Ok(document) = document(Some(policy)) else { return false };
    let about = |statement: &Value, effect: &str, action: &str| {
        let named = &statement["Principal"];
        statement["Effect"] == effect
            && (contains(named, "*") || contains(&named["AWS"], "*") || contains(&named["AWS"], principal))
            && ["*", "ecr:*", action].iter().any(|action| contains(&statement["Action"], action))
    };
    let statements = statements(&document);
    ACTIONS.iter().all(|action| {
        statements
            .iter()
            .any(|statement| statement["Condition"].is_null() && about(statement, "Allow", action))
            && !statements.iter().any(|statement| about(statement, "Deny", action))
    })
}

/// Whether a text, or one of a list of texts, is `wanted`.
fn contains(value: &Value, wanted: &str) -> bool {
    value == wanted || value.as_array().is_some_and(|values| values.iter().any(|value| value == wanted))
}

/// The statement's id: letters and digits only, and different for different services.
fn sid(service: &str) -> String {
    let words = service.split('-').filter(|word| !word.is_empty()).map(|word| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        // A digit has no upper case: the N keeps `app-1` apart from `app1`.
        let start = if first.starts_with(|c: char| c.is_ascii_digit()) { "N" } else { "" };
        format!("{start}{}{rest}", first.to_uppercase())
    });
    format!("LightsailPull{}", words.collect::<String>())
}

fn document(policy: Option<&str>) -> Result<Value, Error> {
    let Some(policy) = policy else { return Ok(json!({"Version": "2012-10-17"})) };
    serde_json::from_str(policy)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| Error::Misconfigured("The repository's present policy is not a JSON object.".into()))
}

fn statements(document: &Value) -> Vec<Value> {
    match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        Value::Null => Vec::new(),
        single => vec![single.clone()],
    }
}

fn without(document: &Value, service: &str) -> Vec<Value> {
    let sid = sid(service);
    statements(document).into_iter().filter(|statement| statement["Sid"] != sid).collect()
}

/// `statement` without principals that were deleted; none when it names no other.
fn without_deleted(mut statement: Value) -> Option<Value> {
    match statement.pointer_mut("/Principal/AWS") {
        Some(Value::String(principal)) if is_deleted(principal) => return None,
        Some(Value::Array(principals)) => {
            let named = !principals.is_empty();
            principals.retain(|principal| !principal.as_str().is_some_and(is_deleted));
            if named && principals.is_empty() {
                return None;
            }
        }
        _ => {}
    }
    Some(statement)
}

/// Whether a stored policy shows a role or user that was deleted: by its id, such as `AROAEXAMPLEID`, instead of its ARN
/// (IAM guide, "IAM identifiers": unique ids).
fn is_deleted(principal: &str) -> bool {
    ["AROA", "AIDA"].iter().any(|prefix| principal.starts_with(prefix))
        && principal.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: &str = r#"{"Version":"2012-10-17","Statement":{"Sid":"Audit","Effect":"Allow","Principal":"*","Action":"ecr:DescribeImages"}}"#;

    fn sids(policy: &str) -> Vec<String> {
        let document: Value = serde_json::from_str(policy).unwrap();
        statements(&document).iter().map(|statement| statement["Sid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn two_environments_share_a_repository_and_each_removes_only_its_own_statement() {
        let policy = grant(None, "app-qa", "arn:qa").unwrap();
        let policy = grant(Some(&policy), "app-prod", "arn:prod").unwrap();
        assert_eq!(sids(&policy), ["LightsailPullAppQa", "LightsailPullAppProd"]);
        let policy = revoke(&policy, "app-qa").unwrap().unwrap();
        assert_eq!(sids(&policy), ["LightsailPullAppProd"]);
        assert_eq!(revoke(&policy, "app-prod").unwrap(), None);
    }

    #[test]
    fn granting_again_replaces_a_stale_principal_and_changes_nothing_else() {
        let policy = grant(Some(FOREIGN), "app-qa", "arn:old").unwrap();
        let policy = grant(Some(&policy), "app-qa", "arn:new").unwrap();
        assert_eq!(sids(&policy), ["Audit", "LightsailPullAppQa"]);
        assert!(grants(&policy, "app-qa", "arn:new") && !grants(&policy, "app-qa", "arn:old"));
    }

    #[test]
    fn a_deleted_principal_goes_whoever_named_it_and_nothing_else_does() {
        let statement =
            |sid: &str, principal: Value| json!({"Sid": sid, "Effect": "Allow", "Principal": principal});
        let policy = json!({"Version": "2012-10-17", "Statement": [
            statement("LightsailPullAppProd", json!({"AWS": "AROAEXAMPLEEXAMPLE123"})),
            statement("Both", json!({"AWS": ["AIDAEXAMPLEEXAMPLE123", "arn:aws:iam::1:role/AROA"]})),
            statement("Gone", json!({"AWS": ["AROAEXAMPLEEXAMPLE123"]})),
            statement("Everybody", json!("*")),
            statement("Service", json!({"Service": "codebuild.amazonaws.com"})),
        ]})
        .to_string();
        let granted = grant(Some(&policy), "app-qa", "arn:qa").unwrap();
        assert_eq!(sids(&granted), ["Both", "Everybody", "Service", "LightsailPullAppQa"]);
        let document: Value = serde_json::from_str(&granted).unwrap();
        assert_eq!(document["Statement"][0]["Principal"], json!({"AWS": ["arn:aws:iam::1:role/AROA"]}));
        assert_eq!(document["Statement"][1]["Principal"], json!("*"));
        assert_eq!(document["Statement"][2]["Principal"], json!({"Service": "codebuild.amazonaws.com"}));
        assert_eq!(sids(&revoke(&granted, "app-qa").unwrap().unwrap()), ["Both", "Everybody", "Service"]);
    }

    #[test]
    fn services_with_similar_names_have_different_statements() {
        assert_ne!(sid("app-1a"), sid("app1a"));
        assert_ne!(sid("app-qa"), sid("appqa"));
    }

    #[test]
    fn revoking_what_is_not_there_keeps_the_policy() {
        assert_eq!(sids(&revoke(FOREIGN, "app-qa").unwrap().unwrap()), ["Audit"]);
    }

    #[test]
    fn a_pull_needs_both_actions_for_the_present_principal_and_no_denial() {
        let policy =
            |statements: Value| json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let allow = |principal: Value, action: Value| json!({"Effect": "Allow", "Principal": principal, "Action": action});
        let me = || json!({"AWS": "arn:me"});
        let mut conditional = allow(me(), json!(ACTIONS));
        conditional["Condition"] = json!({"StringEquals": {"aws:SourceAccount": "1"}});
        let mut denied = allow(json!("*"), json!("ecr:BatchGetImage"));
        denied["Effect"] = json!("Deny");
        for (statements, expected) in [
            (json!([allow(me(), json!(ACTIONS))]), true),
            (json!(allow(json!({"AWS": ["arn:other", "arn:me"]}), json!("ecr:*"))), true),
            (json!([allow(me(), json!(ACTIONS[0])), allow(json!("*"), json!(ACTIONS[1]))]), true),
            (json!([allow(me(), json!(ACTIONS[0]))]), false),
            (json!([allow(json!({"AWS": "arn:former"}), json!(ACTIONS))]), false),
            (json!([conditional]), false),
            (json!([allow(me(), json!(ACTIONS)), denied]), false),
            (json!([]), false),
        ] {
            assert_eq!(lets_pull(&policy(statements.clone()), "arn:me"), expected, "{statements}");
        }
        assert!(lets_pull(&grant(None, "app-qa", "arn:me").unwrap(), "arn:me"));
        assert!(!lets_pull("[]", "arn:me"));
    }

    #[test]
    fn a_policy_that_is_no_document_is_refused_and_not_overwritten() {
        assert!(grant(Some("[]"), "app", "arn").is_err());
        assert!(revoke("{", "app").is_err());
    }
}
