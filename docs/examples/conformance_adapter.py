"""An adapter for `gru4rec-study conformance --module`: ten lines around the implementation to be examined."""

from my_gru4rec import MyGRU4Rec  # the implementation


def replay(recording):
    model = MyGRU4Rec(len(recording.arrays["item_ids"]), recording.hyperparameters)
    model.load(recording.weights("init"))
    losses = []
    for _ in range(recording.hyperparameters["n_epochs"]):
        for inputs, targets in model.batches(recording.train.items, recording.train.offsets):
            losses.append(model.learn(inputs, targets, recording, step=len(losses)))
    scores = model.score(recording.test.items, recording.test.offsets)
    return {"losses": losses, "weights": model.weights(), "scores": scores}
