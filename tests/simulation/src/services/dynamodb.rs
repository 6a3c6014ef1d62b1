//! `DynamoDB`: one table with the keys `kind` and `id`, and the expressions that the product writes.
//!
//! Source: DynamoDB's API reference, "Condition expressions" and "`TransactWriteItems`".

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::http::Response;

use super::{answer, error};

/// The items by kind and id, each in the form of the API.
#[derive(Debug, Default)]
pub struct Table {
    pub items: BTreeMap<(String, String), Map<String, Value>>,
}

impl Table {
    /// Answers a call.
    pub fn call(&mut self, operation: &str, input: &Value) -> Response {
        match operation {
            "GetItem" => {
                let item = self.items.get(&key(&input["Key"]));
                answer(200, &item.map_or(json!({}), |item| json!({"Item": item})))
            }
            "PutItem" | "DeleteItem" => {
                if !self.holds(operation, input) {
                    return error(
                        "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                        "The conditional request failed",
                    );
                }
                self.write(operation, input);
                answer(200, &json!({}))
            }
            "Query" => answer(200, &self.query(input)),
            "TransactWriteItems" => {
                let writes: Vec<(&str, &Value)> = input["TransactItems"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|item| item.as_object()?.iter().find(|(_, value)| !value.is_null()))
                    .map(|(kind, value)| (operation_of(kind), value))
                    .collect();
                let holds: Vec<bool> = writes.iter().map(|(kind, write)| self.holds(kind, write)).collect();
                if holds.contains(&false) {
                    let reasons: Vec<Value> = holds
                        .iter()
                        .map(|holds| json!({"Code": if *holds { "None" } else { "ConditionalCheckFailed" }}))
                        .collect();
                    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
                    let message =
                        "Transaction cancelled, please refer cancellation reasons for specific reasons";
                    let body = json!({"__type": kind, "Message": message, "CancellationReasons": reasons});
                    return answer(400, &body);
                }
                for (kind, write) in writes {
                    self.write(kind, write);
                }
                answer(200, &json!({}))
            }
            other => panic!("the simulation's DynamoDB does not know {other}"),
        }
    }

    /// A text of the item with this kind, which has itself for its id.
    pub fn text(&self, kind: &str, field: &str) -> Option<String> {
        let value = self.items.get(&(kind.to_owned(), kind.to_owned()))?.get(field)?;
        scalar(value).map(str::to_owned)
    }

    fn write(&mut self, operation: &str, input: &Value) {
        match operation {
            "PutItem" => {
                let item = input["Item"].as_object().cloned().unwrap_or_default();
                self.items.insert(key(&input["Item"]), item);
            }
            "DeleteItem" => {
                self.items.remove(&key(&input["Key"]));
            }
            "ConditionCheck" => {}
            other => panic!("the simulation's DynamoDB does not know {other}"),
        }
    }

    fn holds(&self, operation: &str, input: &Value) -> bool {
        let Some(condition) = input["ConditionExpression"].as_str() else { return true };
        let key = key(if operation == "PutItem" { &input["Item"] } else { &input["Key"] });
        let none = Map::new();
        let item = self.items.get(&key).unwrap_or(&none);
        Condition { input, item, tokens: tokens(condition), next: 0 }.whole()
    }

    fn query(&self, input: &Value) -> Value {
        let of = |name: &str| input["ExpressionAttributeValues"][name]["S"].as_str();
        let condition = input["KeyConditionExpression"].as_str().unwrap_or_default();
        let kind = condition.split_whitespace().find(|word| word.starts_with(':')).and_then(of);
        let mut items: Vec<_> = self
            .items
            .iter()
            .filter(|((of, _), _)| Some(of.as_str()) == kind)
            .map(|(_, item)| item)
            .collect();
        if input["ScanIndexForward"] == false {
            items.reverse();
        }
        let limit =
            input["Limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        items.truncate(limit);
        json!({"Items": items, "Count": items.len()})
    }
}

fn operation_of(kind: &str) -> &str {
    match kind {
        "Put" => "PutItem",
        "Delete" => "DeleteItem",
        other => other,
    }
}

fn key(item: &Value) -> (String, String) {
    let part = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
    (part("kind"), part("id"))
}

fn scalar(value: &Value) -> Option<&str> {
    value["S"].as_str().or_else(|| value["N"].as_str())
}

/// A condition expression, read from left to right.
struct Condition<'a> {
    input: &'a Value,
    item: &'a Map<String, Value>,
    tokens: Vec<String>,
    next: usize,
}

impl Condition<'_> {
    fn whole(&mut self) -> bool {
        let holds = self.any();
        assert_eq!(self.next, self.tokens.len(), "the whole of {:?} is read", self.tokens);
        holds
    }

    fn any(&mut self) -> bool {
        let mut holds = self.all();
        while self.takes("OR") {
            holds |= self.all();
        }
        holds
    }

    fn all(&mut self) -> bool {
        let mut holds = self.one();
        while self.takes("AND") {
            holds &= self.one();
        }
        holds
    }

    fn one(&mut self) -> bool {
        if self.takes("NOT") {
            return !self.one();
        }
        if self.takes("(") {
            let holds = self.any();
            assert!(self.takes(")"), "a bracket is closed in {:?}", self.tokens);
            return holds;
        }
        let exists = self.takes("attribute_exists");
        if exists || self.takes("attribute_not_exists") {
            assert!(self.takes("("));
            let found = self.operand().is_some();
            assert!(self.takes(")"));
            return found == exists;
        }
        let left = self.operand();
        let comparator = self.token();
        let right = self.operand();
        // A comparison with what is missing is false.
        let (Some(left), Some(right)) = (left, right) else { return comparator == "<>" };
        let order = match (left["N"].as_str(), right["N"].as_str()) {
            (Some(left), Some(right)) => left.parse::<f64>().ok().partial_cmp(&right.parse::<f64>().ok()),
            _ => scalar(&left).partial_cmp(&scalar(&right)),
        };
        let same = left == right;
        match comparator.as_str() {
            "=" => same,
            "<>" => !same,
            "<" => order.is_some_and(std::cmp::Ordering::is_lt),
            "<=" => order.is_some_and(std::cmp::Ordering::is_le),
            ">" => order.is_some_and(std::cmp::Ordering::is_gt),
            ">=" => order.is_some_and(std::cmp::Ordering::is_ge),
            other => panic!("the simulation's DynamoDB does not know {other:?} in {:?}", self.tokens),
        }
    }

    fn operand(&mut self) -> Option<Value> {
        let token = self.token();
        if token.starts_with(':') {
            return Some(self.input["ExpressionAttributeValues"][&token].clone());
        }
        let name = if token.starts_with('#') {
            self.input["ExpressionAttributeNames"][&token].as_str().unwrap_or_default().to_owned()
        } else {
            token
        };
        self.item.get(&name).cloned()
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let found = self.tokens.get(self.next).is_some_and(|token| token.eq_ignore_ascii_case(wanted));
        self.next += usize::from(found);
        found
    }

    fn token(&mut self) -> String {
        self.next += 1;
        self.tokens.get(self.next - 1).cloned().unwrap_or_default()
    }
}

fn tokens(text: &str) -> Vec<String> {
    text.replace('(', " ( ").replace(')', " ) ").split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_documented() {
        let mut table = Table::default();
        let item =
            json!({"kind": {"S": "lock"}, "id": {"S": "lock"}, "holder": {"S": "a"}, "redrives": {"N": "2"}});
        table.call("PutItem", &json!({"Item": item}));
        for (condition, holds) in [
            ("attribute_not_exists(holder)", false),
            ("holder = :a AND redrives = :two", true),
            ("holder = :b OR (holder = :a AND redrives <= :ten)", true),
            ("NOT attribute_exists(nothing)", true),
            ("nothing = :a", false),
            ("redrives > :ten", false),
        ] {
            let values = json!({":a": {"S": "a"}, ":b": {"S": "b"}, ":two": {"N": "2"}, ":ten": {"N": "10"}});
            let put =
                json!({"Item": item, "ConditionExpression": condition, "ExpressionAttributeValues": values});
            assert_eq!(table.call("PutItem", &put).status == 200, holds, "{condition}");
        }
    }
}
