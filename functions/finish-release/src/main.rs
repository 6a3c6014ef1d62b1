//! Records a release, frees the environment's lock and says how it ended.

mod handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(handler::Context::from_env(), handler::handle).await
}
