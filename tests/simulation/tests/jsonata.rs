//! `jsonata-core` against the reference implementation: `make jsonata` records what that one results in.

use serde_json::Value;
use simulation::asl::value_of;
use simulation::jsonata::Scope;

#[test]
fn every_recorded_expression_results_in_what_the_reference_says() {
    let fixture: Vec<Value> = serde_json::from_str(include_str!("jsonata.json")).unwrap();
    assert!(fixture.len() > 100);
    for case in fixture {
        let expression = case["expression"].as_str().unwrap();
        let mut variables = case["scope"].as_object().unwrap().clone();
        let states =
            variables.remove("states").and_then(|states| states.as_object().cloned()).unwrap_or_default();
        let scope = Scope::of(variables, states);
        match value_of(expression, &scope) {
            Ok(value) => assert_eq!(value.as_ref(), case.get("value"), "{expression}\n{case:#}"),
            Err(error) => assert!(case.get("error").is_some(), "{expression}: {error}\n{case:#}"),
        }
    }
}
