use serde_json::json;

use super::*;
use crate::planetscale::request;
use crate::testing::digest;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).unwrap()
}

fn before() -> ReleasedBefore {
    ReleasedBefore {
        execution: "prod-1".into(),
        started_at: at(100),
        deploy_request: Some(DeployRequestNumber(1)),
        commits: vec!["3f2a9c1".parse().unwrap(), "4f2a9c1".parse().unwrap()],
    }
}

#[test]
fn an_image_that_got_another_commit_was_built_again_and_does_not_go_back() {
    for (commits, goes_back) in [
        (vec!["3f2a9c1"], true),
        (vec!["4f2a9c1", "3f2a9c1"], true),
        (vec![], true),
        (vec!["3f2a9c1", "5f2a9c1"], false),
    ] {
        let commits: Vec<_> = commits.into_iter().map(|commit| commit.parse().unwrap()).collect();
        assert_eq!(before().is_of(&commits), goes_back, "{commits:?}");
    }
}

fn change(number: u64, second: Option<i64>, statements: &[(&str, bool, &str)]) -> Applied {
    Applied {
        number: DeployRequestNumber(number),
        url: format!("https://app.planetscale.com/{number}"),
        operations: statements
            .iter()
            .map(|(table, creates, statement)| Operation {
                table: Some((*table).to_owned()),
                creates: *creates,
                statement: (*statement).to_owned(),
            })
            .collect(),
        at: second.map(at),
        revertible_until: None,
    }
}

const ADD: (&str, bool, &str) = ("hotels", false, "ALTER TABLE `hotels` ADD COLUMN `description` text");
const DROP: (&str, bool, &str) = ("hotels", false, "ALTER TABLE `hotels` DROP COLUMN `stars`");
const REQUIRED: (&str, bool, &str) = ("hotels", false, "ALTER TABLE `hotels` ADD COLUMN `city` int NOT NULL");
const MAKE: (&str, bool, &str) =
    ("notes", true, "CREATE TABLE `notes` (`id` int NOT NULL, PRIMARY KEY (`id`))");
const UNMAKE: (&str, bool, &str) = ("notes", false, "DROP TABLE `notes`");

#[test]
fn a_change_that_the_older_code_breaks_on_is_in_the_way() {
    for (changes, words, why) in [
        (vec![], None, "nothing was applied"),
        (vec![change(2, Some(200), &[ADD])], None, "it adds"),
        (
            vec![change(2, Some(200), &[DROP])],
            Some("DROP COLUMN `stars` (deploy request #2, https"),
            "it drops",
        ),
        (vec![change(2, Some(200), &[REQUIRED])], Some("city"), "breaks both ways"),
        (vec![change(1, Some(200), &[DROP])], None, "the image's own change, applied after its containers"),
        (vec![change(2, None, &[DROP])], Some("stars"), "on its way"),
        (vec![change(2, Some(200), &[])], Some("no statement"), "PlanetScale names nothing"),
        (vec![change(2, Some(200), &[("hotels", false, "")])], Some("cannot be read"), "no text"),
        (vec![change(2, Some(200), &[MAKE, UNMAKE])], None, "a table that came and went"),
        (vec![change(3, Some(300), &[UNMAKE]), change(2, Some(200), &[MAKE])], None, "in the order of time"),
        (vec![change(3, Some(200), &[UNMAKE]), change(2, Some(300), &[MAKE])], Some("notes"), "it was there"),
        (vec![change(2, Some(200), &[ADD]), change(3, Some(300), &[DROP])], Some("#3"), "one of two"),
    ] {
        let verdict = judge(&before(), changes.clone(), false);
        let expected = if words.is_some() { Step::Refused } else { Step::Allowed };
        assert_eq!(verdict.step, expected, "{why}: {}", verdict.because);
        assert!(words.is_none_or(|words| verdict.because.contains(words)), "{why}: {}", verdict.because);
        assert_eq!(verdict.in_the_way.is_empty(), words.is_none(), "{why}");
        let insisted = judge(&before(), changes, true);
        assert_eq!((insisted.step, insisted.insisted), (Step::Allowed, true), "{why}");
        assert_eq!(insisted.in_the_way, verdict.in_the_way, "{why}: a person insists, and it is recorded");
    }
}

#[test]
fn a_refusal_says_what_brings_back_what_the_image_needs() {
    let mut revertible = change(2, Some(200), &[DROP]);
    revertible.revertible_until = Some(at(1_800));
    let told = judge(&before(), vec![revertible.clone()], false).because;
    assert!(
        told.ends_with("revert them on their pages until 1970-01-01 00:30 UTC, then roll back again."),
        "{told}"
    );
    let told = judge(&before(), vec![revertible, change(3, Some(300), &[DROP])], false).because;
    assert!(told.ends_with("comes back without its data."), "{told}");
}

#[test]
fn many_and_long_statements_are_told_shortly() {
    let long = format!("ALTER TABLE `hotels` DROP COLUMN `{}`", "x".repeat(5_000));
    let many = (2..40).map(|number| change(number, Some(200), &[("hotels", false, &long)])).collect();
    let verdict = judge(&before(), many, false);
    assert!(
        verdict.because.len() < 20_000 && verdict.because.contains("and 28 more"),
        "{}",
        verdict.because.len()
    );
}

#[test]
fn what_may_have_been_applied_since_counts_by_the_state_of_its_request() {
    let operations = json!({"deploy_operations": [{"operation_name": "DROP", "table_name": "notes", "can_drop_data": true}]});
    for (state, deployed_at, counts) in [
        ("pending", None, false),
        ("ready", None, false),
        ("no_changes", None, false),
        ("error", None, false),
        ("cancelled", None, false),
        ("complete_cancel", None, false),
        ("complete_error", None, false),
        ("complete_revert", Some(200), false),
        ("queued", None, true),
        ("in_progress", None, true),
        ("pending_cutover", None, true),
        ("in_progress_revert", Some(200), true),
        ("complete_revert_error", Some(200), true),
        ("something_new", None, true),
        ("complete", None, true),
        ("complete", Some(99), false),
        ("complete", Some(101), true),
        ("complete_pending_revert", Some(101), true),
    ] {
        let mut request = request(state, operations.clone());
        request.deployed_at = deployed_at.map(at);
        let found = applied(&request, at(100));
        assert_eq!(found.is_some(), counts, "{state} at {deployed_at:?}");
        assert!(found.is_none_or(|found| found.operations[0].statement == "DROP TABLE `notes`"), "{state}");
    }
}

fn report(outcome: Outcome, fill: char) -> Report {
    let mut ending = crate::report::ending_for_tests(outcome);
    ending.release.image.digest = digest(fill);
    crate::report::report(&ending, at(500))
}

#[test]
fn a_change_that_planetscale_does_not_list_is_known_by_its_record() {
    let mut recorded_change = report(Outcome::Released, 'b');
    recorded_change.schema = SchemaChange::Permanent;
    recorded_change.deploy_request = Some(schema::DeployRequestReport {
        number: DeployRequestNumber(7),
        url: "https://app.planetscale.com/7".into(),
        state: "complete".into(),
        statements: vec![DROP.2.into()],
        closed: None,
        revertible_until: None,
    });
    let mut reverted = recorded_change.clone();
    reverted.schema = SchemaChange::Reverted;
    let reports = [recorded_change, reverted, report(Outcome::Released, 'c')];
    let found = recorded(&reports, &HashSet::new());
    assert_eq!(found.len(), 1);
    assert_eq!(judge(&before(), found, false).step, Step::Refused);
    assert!(recorded(&reports, &HashSet::from([7])).is_empty());
}

#[test]
fn the_image_released_before_the_one_that_serves_is_the_previous_one() {
    use Outcome::{ContainersFailed, Held, Released, RollbackRefused, SchemaFailed, Superseded, Undone};
    let with_containers = |outcome, fill| {
        let mut report = report(outcome, fill);
        report.deployment = Some(crate::containers::DeploymentReport {
            service: "app".into(),
            version: 2,
            image: "host/app:1".into(),
            url: "https://app.example".into(),
            is_first: false,
        });
        report
    };
    let kept = |fill| {
        let mut looks =
            crate::verification::Looks::with(Moment::NewContainers, None, Vec::new(), &Default::default());
        looks.failed = true;
        Report { looks: Some(looks), ..with_containers(ContainersFailed, fill) }
    };
    let released = |fill| report(Released, fill);
    for (reports, current, previous, why) in [
        (vec![], None, None, "nothing was released"),
        (vec![released('a')], Some('a'), None, "the first"),
        (vec![released('a'), released('b')], Some('b'), Some('a'), "two"),
        (vec![released('a'), released('b'), released('b')], Some('b'), Some('a'), "released again"),
        (
            vec![released('a'), released('b'), released('c'), released('b')],
            Some('b'),
            Some('a'),
            "rolled back",
        ),
        (vec![released('a'), released('b'), released('a'), released('c')], Some('c'), Some('a'), "and on"),
        (vec![released('a'), report(Superseded, 'b'), report(Held, 'c')], Some('a'), None, "stepped aside"),
        (vec![released('a'), with_containers(Undone, 'b')], Some('a'), None, "undone"),
        (vec![released('a'), with_containers(ContainersFailed, 'b')], Some('a'), None, "the old ones serve"),
        (vec![released('a'), kept('b')], Some('b'), Some('a'), "serves badly, and is kept"),
        (vec![released('a'), with_containers(SchemaFailed, 'b')], Some('b'), Some('a'), "serves already"),
        (
            vec![released('a'), with_containers(SchemaFailed, 'b'), released('c')],
            Some('c'),
            Some('a'),
            "never Released",
        ),
        (vec![released('a'), released('b'), report(RollbackRefused, 'a')], Some('b'), Some('a'), "refused"),
    ] {
        let history = History::of(&reports);
        assert_eq!(history.current(), current.map(digest), "{why}");
        assert_eq!(history.previous(), previous.map(digest), "{why}");
    }
}

#[test]
fn an_event_that_arrives_again_is_no_rollback() {
    assert!(before().is_before(at(101)));
    assert!(!before().is_before(at(100)));
    assert!(!before().is_before(at(99)), "the release started after its push");
}

#[test]
fn a_rollback_is_asked_for_by_two_words() {
    for (payload, expected) in [
        (json!({"rollback": "previous"}), Some(Asked::Previous)),
        (json!({"rollback": "insist"}), Some(Asked::Insist)),
        (json!({"rollback": "Insist"}), None),
        (json!({"rollback": null}), None),
        (json!({"rollback": "previous", "insist": true}), None),
    ] {
        assert_eq!(asked(payload.clone()).ok(), expected, "{payload}");
    }
}

#[test]
fn a_release_says_whether_one_can_go_back_from_it() {
    let (add, drop) = (vec![ADD.2.to_owned()], vec![DROP.2.to_owned()]);
    for (changed, statements, until, words) in [
        (SchemaChange::None, &vec![], None, "Going back is safe: the schema was not changed."),
        (
            SchemaChange::Permanent,
            &add,
            None,
            "Going back is safe: the version before works on the new schema.",
        ),
        (
            SchemaChange::Permanent,
            &drop,
            None,
            "Going back is refused while this is applied: ALTER TABLE `hotels` DROP COLUMN `stars`",
        ),
        (
            SchemaChange::Revertible,
            &drop,
            Some(at(1_800)),
            "The schema can be reverted until 1970-01-01 00:30 UTC.",
        ),
        (SchemaChange::Permanent, &drop, Some(at(1_800)), "DROP COLUMN `stars`"),
        (SchemaChange::Permanent, &vec![], None, "is not known"),
    ] {
        let told = outlook(changed, statements, until);
        assert!(told.contains(words), "{told}");
        assert_eq!(told.contains("can be reverted"), words.contains("can be reverted"), "{told}");
    }
}
