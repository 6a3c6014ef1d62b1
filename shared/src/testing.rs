//! Values that the tests of several modules share.

use chrono::DateTime;

use crate::image::ImageDigest;
use crate::release::{
    Cause, Database, Deadlines, DestructiveChanges, Image, OnContainerFailure, OnVerificationFailure, Policy,
    Release, Verification,
};

pub fn digest(fill: char) -> ImageDigest {
    format!("sha256:{}", fill.to_string().repeat(64)).parse().unwrap()
}

pub fn release() -> Release {
    Release {
        application: "bookings-api".into(),
        environment: "prod".into(),
        cause: Cause::Push,
        rollback: None,
        pushed_at: DateTime::from_timestamp(1_795_405_613, 0).unwrap(),
        image: Image {
            repository: "bookings-api".into(),
            uri: "123456789012.dkr.ecr.us-east-1.amazonaws.com/bookings-api".into(),
            moving_tag: "prod".parse().unwrap(),
            digest: digest('a'),
            commit: Some("3f2a9c1d".parse().unwrap()),
            commits: vec!["3f2a9c1d".parse().unwrap()],
        },
        service: "bookings-api-prod".into(),
        database: Some(Database {
            organization: "acme".into(),
            name: "bookings".into(),
            head_branch: "dev".into(),
            base_branch: "main".into(),
        }),
        policy: Policy {
            destructive_changes: DestructiveChanges::Refuse,
            on_container_failure: OnContainerFailure::RevertSchema,
        },
        deadlines: Deadlines {
            turn: 86_400,
            validation: 1_800,
            approval: 259_200,
            schema: 1_209_600,
            revert: 3_600,
            containers: 2_700,
        },
        last_call: 70,
        verification: Verification {
            paths: Vec::new(),
            seconds: 120,
            on_failure: OnVerificationFailure::Undo,
        },
    }
}
