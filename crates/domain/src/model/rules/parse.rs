//! Reading a rule from JSON, every flaw at once.

use super::{Comparison, MAX_COMPARISONS, MAX_DEPTH, Op, Rule};
use crate::model::problem::FieldProblems;
use serde_json::{Map, Value};

/// The keys a rule may have; the first three are groups.
const KEYS: [&str; 6] = ["all", "any", "not", "field", "op", "value"];

impl Rule {
    /// Reads and checks a rule: known keys only, at most [`MAX_DEPTH`] deep, at most [`MAX_COMPARISONS`] comparisons,
    /// and values that fit their fields. Problems have pointers into `json`, such as `/all/0/op`.
    pub fn parse(json: &Value) -> Result<Rule, FieldProblems> {
        let mut parser = Parser::default();
        let rule = parser.rule("", json, 1);
        match (rule, parser.problems.into_result()) {
            (Some(rule), Ok(())) => Ok(rule),
            (_, Err(problems)) => Err(problems),
            (None, Ok(())) => Err(FieldProblems::one("", "invalid_rule", "this is not a rule")),
        }
    }
}

#[derive(Default)]
struct Parser {
    problems: FieldProblems,
    comparisons: usize,
}

impl Parser {
    /// The rule at `pointer`, or `None` when there is a problem in it, which was noted.
    fn rule(&mut self, pointer: &str, json: &Value, depth: usize) -> Option<Rule> {
        let Value::Object(map) = json else {
            return self.refuse(pointer, "invalid_type", "a rule is an object");
        };
        if depth > MAX_DEPTH {
            return self.refuse(pointer, "too_deep", &format!("rules nest at most {MAX_DEPTH} deep"));
        }
        for key in map.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let at = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            self.problems.add(at, "unknown_field", "a rule has all, any or not, or field, op and value");
        }
        let known: Vec<&str> = KEYS.into_iter().filter(|key| map.contains_key(*key)).collect();
        match known.as_slice() {
            ["all"] => Some(Rule::All { all: self.group(pointer, "all", map, depth)? }),
            ["any"] => Some(Rule::Any { any: self.group(pointer, "any", map, depth)? }),
            ["not"] => {
                let not = match map.get("not")? {
                    Value::Array(none) if none.is_empty() => {
                        return self.refuse(&format!("{pointer}/not"), "required", "a rule, or a list with some");
                    }
                    Value::Array(_) => Rule::Any { any: self.group(pointer, "not", map, depth + 1)? },
                    one => self.rule(&format!("{pointer}/not"), one, depth + 1)?,
                };
                Some(Rule::Not { not: Box::new(not) })
            }
            [] => self.refuse(pointer, "required", "a rule has all, any or not, or field, op and value"),
            ["all" | "any" | "not", ..] => {
                self.refuse(pointer, "ambiguous", "a rule has only one of all, any, not, or field with op and value")
            }
            _ => self.comparison(pointer, map),
        }
    }

    fn group(&mut self, pointer: &str, key: &str, map: &Map<String, Value>, depth: usize) -> Option<Vec<Rule>> {
        let at = format!("{pointer}/{key}");
        let Some(Value::Array(items)) = map.get(key) else {
            return self.refuse(&at, "invalid_type", "a list of rules");
        };
        let mut rules = Vec::new();
        for (n, item) in items.iter().enumerate() {
            if n >= MAX_COMPARISONS || self.comparisons > MAX_COMPARISONS {
                return self.refuse(&at, "too_many", &format!("a rule has at most {MAX_COMPARISONS} comparisons"));
            }
            rules.extend(self.rule(&format!("{at}/{n}"), item, depth + 1));
        }
        (rules.len() == items.len()).then_some(rules)
    }

    fn comparison(&mut self, pointer: &str, map: &Map<String, Value>) -> Option<Rule> {
        self.comparisons += 1;
        if self.comparisons == MAX_COMPARISONS + 1 {
            return self.refuse(pointer, "too_many", &format!("a rule has at most {MAX_COMPARISONS} comparisons"));
        }
        let field = self.text(pointer, "field", map);
        let op = self.text(pointer, "op", map).and_then(|name| {
            let unknown = || format!("an operator is one of {}", Op::ALL.map(Op::as_str).join(", "));
            Op::parse(name).or_else(|| self.refuse(&format!("{pointer}/op"), "unknown_op", &unknown()))
        });
        if !map.contains_key("value") {
            self.problems.add(format!("{pointer}/value"), "required", "a comparison needs a value");
        }
        let (field, op, value) = (field?, op?, map.get("value")?);
        self.problems.keep(pointer, Comparison::read(field, op, value))?;
        Some(Rule::Compare { field: field.to_owned(), op, value: value.clone() })
    }

    fn text<'a>(&mut self, pointer: &str, key: &str, map: &'a Map<String, Value>) -> Option<&'a str> {
        let at = format!("{pointer}/{key}");
        match map.get(key) {
            Some(Value::String(text)) => Some(text),
            Some(_) => self.refuse(&at, "invalid_type", "text is needed here"),
            None => self.refuse(&at, "required", &format!("a comparison needs {key}")),
        }
    }

    fn refuse<T>(&mut self, pointer: &str, code: &str, detail: &str) -> Option<T> {
        self.problems.add(pointer, code, detail);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn flaws(json: &Value) -> Vec<(String, String)> {
        Rule::parse(json).unwrap_err().0.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    #[test]
    fn a_rule_reads_back_as_it_was_written() {
        let written = json!({"all": [
            {"field": "country", "op": "eq", "value": "DE"},
            {"any": [{"field": "tags", "op": "contains", "value": "vip"}, {"not": {"field": "leadScore", "op": "lt", "value": 5}}]},
            {"field": "customFields.plan", "op": "in", "value": ["pro", 3, true]},
        ]});
        let rule = Rule::parse(&written).unwrap();
        assert_eq!(serde_json::to_value(&rule).unwrap(), written);
        assert_eq!(serde_json::from_value::<Rule>(written).unwrap(), rule);
    }

    #[test]
    fn not_of_a_list_means_none_of_it() {
        let [germans, vips] = [
            json!({"field": "country", "op": "eq", "value": "DE"}),
            json!({"field": "tags", "op": "contains", "value": "vip"}),
        ];
        let rule = Rule::parse(&json!({"not": [germans, vips]})).unwrap();
        assert_eq!(serde_json::to_value(&rule).unwrap(), json!({"not": {"any": [germans, vips]}}));
        assert_eq!(flaws(&json!({"not": [germans, 7]})), [("/not/1".to_owned(), "invalid_type".to_owned())]);
        let mut deep = germans;
        while Rule::parse(&json!({"not": [deep]})).is_ok() {
            deep = json!({"not": [deep]});
        }
        let stored = serde_json::to_value(Rule::parse(&deep).unwrap()).unwrap();
        assert!(Rule::parse(&stored).is_ok(), "as it is stored it is no deeper than may be");
    }

    #[test]
    fn every_flaw_is_told_at_once() {
        let found = flaws(&json!({"all": [
            {"field": "shoeSize", "op": "eq", "value": 1},
            {"field": "city", "op": "near", "value": "x"},
            {"field": "city", "op": "lt", "value": "x", "weight": 2},
            {"not": {"op": "eq"}},
            7,
        ]}));
        let expected = [
            ("/all/0/field", "unknown_field"),
            ("/all/1/op", "unknown_op"),
            ("/all/2/weight", "unknown_field"),
            ("/all/2/op", "op_not_allowed"),
            ("/all/3/not/field", "required"),
            ("/all/3/not/value", "required"),
            ("/all/4", "invalid_type"),
        ];
        assert_eq!(found, expected.map(|(at, code)| (at.to_owned(), code.to_owned())));
    }

    #[rstest]
    #[case(json!({}), "", "required")]
    #[case(json!([]), "", "invalid_type")]
    #[case(json!({"all": [], "any": []}), "", "ambiguous")]
    #[case(json!({"all": [], "field": "city"}), "", "ambiguous")]
    #[case(json!({"all": {}}), "/all", "invalid_type")]
    #[case(json!({"a/b~": 1, "all": []}), "/a~1b~0", "unknown_field")]
    #[case(json!({"field": "city", "op": "eq", "value": 1}), "/value", "invalid_type")]
    #[case(json!({"field": "city", "op": "eq", "value": null}), "/value", "invalid_type")]
    #[case(json!({"field": "city", "op": "eq", "value": "a\u{0}"}), "/value", "invalid_character")]
    #[case(json!({"field": "city", "op": "eq", "value": "x".repeat(501)}), "/value", "too_long")]
    #[case(json!({"field": "city", "op": "in", "value": []}), "/value", "required")]
    #[case(json!({"field": "city", "op": "in", "value": "x"}), "/value", "invalid_type")]
    #[case(json!({"field": "city", "op": "in", "value": ["x", 1]}), "/value/1", "invalid_type")]
    #[case(json!({"field": "city", "op": "in", "value": vec!["x"; 1001]}), "/value", "too_long")]
    #[case(json!({"field": "city", "op": "exists", "value": "yes"}), "/value", "invalid_type")]
    #[case(json!({"field": "tags", "op": "gt", "value": "x"}), "/op", "op_not_allowed")]
    #[case(json!({"field": "leadScore", "op": "eq", "value": "5"}), "/value", "invalid_type")]
    #[case(json!({"field": "leadScore", "op": "exists", "value": true}), "/op", "op_not_allowed")]
    #[case(json!({"field": "customFields.", "op": "eq", "value": 1}), "/field", "unknown_field")]
    #[case(json!({"field": "customFields.a\u{0}", "op": "eq", "value": 1}), "/field", "unknown_field")]
    #[case(json!({"field": "customFields.a", "op": "lt", "value": true}), "/value", "invalid_type")]
    #[case(json!({"field": "customFields.a", "op": "contains", "value": 1}), "/value", "invalid_type")]
    fn a_flaw_is_named_where_it_is(#[case] json: Value, #[case] pointer: &str, #[case] code: &str) {
        assert_eq!(flaws(&json), [(pointer.to_owned(), code.to_owned())]);
    }

    fn nested(levels: usize) -> Value {
        let comparison = json!({"field": "city", "op": "eq", "value": "x"});
        (1..levels).fold(comparison, |inner, _| json!({"not": inner}))
    }

    #[test]
    fn the_depth_has_a_limit() {
        assert!(Rule::parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(flaws(&nested(MAX_DEPTH + 1)), [("/not".repeat(MAX_DEPTH), "too_deep".to_owned())]);
    }

    #[test]
    fn the_number_of_comparisons_has_a_limit() {
        let comparison = json!({"field": "city", "op": "eq", "value": "x"});
        let half = || json!({"any": vec![comparison.clone(); MAX_COMPARISONS / 2]});
        assert!(Rule::parse(&json!({"all": [half(), half()]})).is_ok());
        assert_eq!(
            flaws(&json!({"all": [half(), half(), comparison]})),
            [("/all/2".to_owned(), "too_many".to_owned())]
        );
        assert_eq!(
            flaws(&json!({"all": vec![json!({"all": []}); 100_000]})).len(),
            1,
            "and no list is read to its end"
        );
    }
}
