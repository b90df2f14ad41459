"""What TensorFlow calls the variables of a model in training."""

import keras
import small

from official.training import preparation, variable_names


def test_keras_tells_variables_apart_that_tensorflow_does_not():
    model = preparation.model(small.experiment(), fresh=True)
    variables = [*model.network.weights, *model.optimizer.variables]
    known = {variable.value.name for variable in variables}
    assert known == {"variable:0"}
    paths = {variable.path for variable in variables}
    assert len(paths) == len(variables)


def test_of_several_replicas_each_variable_keeps_its_name():
    with variable_names.alike(replicas=2):
        variable = keras.Variable([1.0], name="weight")
    assert variable.value.name == "weight:0"
