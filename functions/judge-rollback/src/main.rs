//! Wires the function.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(judge_rollback::handler::Context::from_env(), judge_rollback::handler::handle).await
}
