from typing import cast

import pytest
import torch
from torch import nn

from mmx.learn.teacher import Teacher
from toys.systems import make_model


def weights(teacher: Teacher) -> torch.Tensor:
    return cast(nn.Linear, teacher.model.image_encoder.mix).weight


def test_it_is_the_average_of_the_student() -> None:
    student = make_model()
    teacher = Teacher(student, decay=0.75)
    torch.nn.init.zeros_(weights(teacher))
    torch.nn.init.ones_(cast(nn.Linear, student.image_encoder.mix).weight)
    teacher.follow(student)
    assert (weights(teacher) == 0.25).all()
    teacher.follow(student)
    assert (weights(teacher) == 0.4375).all()


def test_a_warm_teacher_averages_little_at_first() -> None:
    student = make_model()
    teacher = Teacher(student, decay=0.999, warm=True)
    torch.nn.init.zeros_(weights(teacher))
    torch.nn.init.ones_(cast(nn.Linear, student.image_encoder.mix).weight)
    teacher.follow(student)
    assert weights(teacher)[0, 0].item() == pytest.approx(1 - 2 / 11)
    teacher.updates.fill_(100_000)
    torch.nn.init.zeros_(weights(teacher))
    teacher.follow(student)
    assert weights(teacher)[0, 0].item() == pytest.approx(0.001)


def test_statistics_are_copied() -> None:
    student = make_model(batch_norm=True)
    teacher = Teacher(student, decay=0.9)
    cast(nn.BatchNorm1d, student.image_encoder.norm).running_mean = torch.full((4,), 3.0)
    teacher.follow(student)
    assert (cast(nn.BatchNorm1d, teacher.model.image_encoder.norm).running_mean == 3).all()


def test_it_stays_in_evaluation_mode_and_shares_nothing() -> None:
    student = make_model(dropout=0.5)
    teacher = Teacher(student, decay=0.9)
    nn.ModuleList([student, teacher]).train()
    assert student.training
    assert not any(module.training for module in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
    places = {p.data_ptr() for p in student.parameters()}
    assert all(p.data_ptr() not in places for p in teacher.parameters())


def test_its_progress_is_saved() -> None:
    student = make_model()
    teacher, again = Teacher(student, decay=0.9), Teacher(make_model(), decay=0.9)
    teacher.follow(student)
    again.load_state_dict(teacher.state_dict())
    assert again.updates == 1
    assert torch.equal(weights(again), weights(teacher))
