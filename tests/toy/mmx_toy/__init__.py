"""A plugin for tests of runs: micro towers with dropout, random views, and parts that fail on request."""

from mmx.plugin.hookspecs import hookimpl
from mmx.plugin.registry import Registrar
from mmx_toy import configs


@hookimpl
def mmx_register(register: Registrar) -> None:
    register("dataset", "toy", config=configs.Pictures, part="mmx_toy.data:ToyPictures", summary="generated pictures")
    register("image_encoder", "toy", config=configs.Tower, part="mmx_toy.towers:ToyImages", summary="three blocks")
    register("text_encoder", "toy", config=configs.Tower, part="mmx_toy.towers:ToyTexts", summary="three blocks")
    register("fusion", "toy", config=configs.Fusion, part="mmx_toy.compare:ToyFusion", summary="two projections")
    register("loss", "toy", config=configs.Loss, part="mmx_toy.compare:ToyLoss", summary="contrastive, with a queue")
    register("loss", "length", config=configs.Single, part="mmx_toy.single:ToyLength", summary="of one modality")
    register("tokenizer", "toy", config=configs.Letters, part="mmx_toy.texts:ToyTokenizer", summary="letters")
    register("image_transform", "toy", config=configs.Shake, part="mmx_toy.data:ToyShake", summary="random shifts")
    register("text_transform", "toy", config=configs.Shake, part="mmx_toy.texts:ToyDrop", summary="random letters")
    register("evaluator", "toy", config=configs.Match, part="mmx_toy.watch:ToyMatch", summary="matches pairs")
    register("tracker", "broken", config=configs.Broken, part="mmx_toy.watch:Broken", summary="fails in every hook")
