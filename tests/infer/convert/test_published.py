from fractions import Fraction

import numpy as np
import pytest

from functions.errors import BadModelError
from functions.infer.backends import OnnxRuntime
from functions.infer.family import Span
from functions.infer.model_add import make_model, try_model
from functions.infer.model_draft import Naming
from functions.infer.model_shelf import load_family
from functions.settings import ModelSettings

pytestmark = [pytest.mark.backends("convert"), pytest.mark.timeout(1200)]

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")


@pytest.fixture
def convert():
    from functions.infer.convert.published import convert

    torch.manual_seed(0)
    return convert


def lively(network):
    """Random weights whose activations keep their size, with batch norms that do something."""
    for name, tensor in network.state_dict().items():
        if tensor.ndim > 1:
            torch.nn.init.kaiming_normal_(tensor, nonlinearity="relu")
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif tensor.is_floating_point():
            tensor.uniform_(-0.1, 0.1) if name.endswith(("bias", "mean")) else tensor.uniform_(
                0.3, 0.6
            )
    return network.eval()


def agree(path, network, *inputs, bound):
    """Whether onnxruntime and torch come to the same, for batches of one and of three."""
    graph = OnnxRuntime().load(path)
    for rows in (1, 3):
        given = [torch.randn(rows, *shape) for shape in inputs]
        with torch.inference_mode():
            expected = network(*given).numpy()
        arrays = {t.name: g.numpy() for t, g in zip(graph.inputs, given, strict=True)}
        (made,) = graph.run(arrays)
        assert made.shape == expected.shape
        assert np.ptp(expected) > 0.01
        assert np.abs(made - expected).max() <= bound * max(1, np.abs(expected).max())


def test_wav2lip(convert, tmp_path):
    """The published state dict's names and 36.3 M numbers; torch and onnxruntime within 1e-4."""
    from functions.infer.convert.wav2lip_net import Wav2Lip

    network = lively(Wav2Lip())
    weights = network.state_dict()
    assert sum(p.numel() for p in network.parameters()) == 36_298_035
    shapes = {
        "face_encoder_blocks.0.0.conv_block.0.weight": (16, 6, 7, 7),
        "face_encoder_blocks.2.3.conv_block.1.running_var": (64,),
        "face_encoder_blocks.6.1.conv_block.0.weight": (512, 512, 1, 1),
        "audio_encoder.9.conv_block.0.weight": (256, 128, 3, 3),
        "audio_encoder.12.conv_block.0.weight": (512, 512, 1, 1),
        "face_decoder_blocks.1.0.conv_block.0.weight": (1024, 512, 3, 3),
        "face_decoder_blocks.3.0.conv_block.0.weight": (768, 384, 3, 3),
        "face_decoder_blocks.6.0.conv_block.0.weight": (160, 64, 3, 3),
        "output_block.0.conv_block.0.weight": (32, 80, 3, 3),
        "output_block.1.weight": (3, 32, 1, 1),
    }
    assert {name: tuple(weights[name].shape) for name in shapes} == shapes
    torch.save({"state_dict": weights, "optimizer": None}, tmp_path / "wav2lip.pth")
    files = convert("wav2lip", tmp_path / "wav2lip.pth", tmp_path / "out", program=True)
    assert [file.name for file in files] == ["generator.onnx", "generator.pt2"]
    agree(files[0], network, (1, 80, 16), (6, 96, 96), bound=1e-4)
    program = torch.export.load(files[1]).module()
    mel, face = torch.randn(3, 1, 80, 16), torch.rand(3, 6, 96, 96)
    with torch.inference_mode():
        assert torch.allclose(program(mel, face), network(mel, face), atol=1e-4)


@pytest.mark.parametrize("kind", ["hubert", "wenet"])
def test_ultralight(convert, tmp_path, kind):
    """Which features it hears is read off its weights; torch and onnxruntime within 1e-4."""
    from functions.infer.convert.ultralight_net import AUDIO, Ultralight

    network = lively(Ultralight(kind))
    names = network.state_dict().keys()
    assert {
        "audio_model.conv1.conv.0.weight",
        "audio_model.bn5.running_mean",
        "fuse_conv.1.double_conv.0.conv.7.weight",
        "inc.inconv.0.conv.0.weight",
        "down4.maxpool_conv.0.double_conv.1.conv.4.weight",
        "up1.conv.double_conv.0.conv.3.weight",
        "outc.conv.bias",
    } <= names
    torch.save(network.state_dict(), tmp_path / "u.pth")
    (file,) = convert("ultralight", tmp_path / "u.pth", tmp_path / "out", program=False)
    agree(file, network, (6, 160, 160), AUDIO[kind], bound=1e-4)


def test_musetalk(convert, tmp_path, studio, recording):
    """The published folders become a model that is taken in, tried and renders, the same twice."""
    from functions.infer.convert.musetalk_nets import Step
    from tests.infer.convert import checkpoints as made

    unet = made.write_unet(tmp_path / "musetalkV15", made.SMALL_UNET)
    made.write_vae(tmp_path / "sd-vae", made.SMALL_VAE)
    made.write_whisper(tmp_path / "whisper", made.SMALL_WHISPER)
    files = convert("musetalk", tmp_path, tmp_path / "out", program=False)
    agree(tmp_path / "out" / "unet.onnx", Step(unet), (8, 32, 32), (50, 384), bound=1e-3)
    naming, into = Naming("musetalk", "small", "1", "CC0-1.0"), tmp_path / "model"
    into.mkdir()
    manifest = make_model(files, naming, into, ModelSettings())
    try_model(manifest, ModelSettings())
    pictures = []
    for _ in range(2):
        family = load_family(manifest, OnnxRuntime(), 2)
        footage, voice = studio([4]), recording(1)
        span = Span(0, 4, Fraction(25), (0, 1, 2, 3))
        pictures.append(list(family.render(footage, b"", voice, span)))
    assert len(pictures[0]) == 4
    for one, other in zip(*pictures, strict=True):
        assert np.array_equal(one.planes, other.planes)


@pytest.mark.parametrize("size", ["small", pytest.param("full", marks=pytest.mark.slow)])
def test_whisper(convert, tmp_path, size):
    """All five states of whisper-tiny's encoder, as transformers gives them, within 1e-3."""
    from functions.infer.convert.graphs import Form, write_graph
    from functions.infer.convert.musetalk_nets import read_whisper
    from tests.infer.convert import checkpoints as made

    config = made.WHISPER_TINY if size == "full" else made.SMALL_WHISPER
    whisper = made.write_whisper(tmp_path / "whisper", config)
    listens = read_whisper(tmp_path / "whisper")
    if size == "full":
        assert sum(p.numel() for p in listens.parameters()) == 8_208_384
    form, path = Form({"mel": (80, 3000)}, "states"), tmp_path / "whisper.onnx"
    write_graph(listens, form, path, program=False)

    def documented(mel):
        states = whisper.encoder(mel, output_hidden_states=True).hidden_states
        assert len(states) == 5
        return torch.stack(states, dim=2)

    agree(path, documented, (80, 3000), bound=1e-3)


@pytest.mark.parametrize("size", ["small", pytest.param("full", marks=pytest.mark.slow)])
def test_vae(convert, tmp_path, size):
    """Both halves of the autoencoder; the mode is the mean, the first half of the moments."""
    from functions.infer.convert import musetalk_nets as nets
    from functions.infer.convert.graphs import Form, write_graph
    from tests.infer.convert import checkpoints as made

    vae = made.write_vae(tmp_path / "vae", made.VAE if size == "full" else made.SMALL_VAE)
    read = nets.read_vae(tmp_path / "vae")
    if size == "full":
        assert sum(p.numel() for p in read.parameters()) == 83_653_863
    encoder, decoder = tmp_path / "encoder.onnx", tmp_path / "decoder.onnx"
    write_graph(nets.Encodes(read), Form({"image": (3, 256, 256)}, "m"), encoder, program=False)
    write_graph(nets.Decodes(read), Form({"latents": (4, 32, 32)}, "i"), decoder, program=False)
    agree(encoder, lambda x: vae.encode(x).latent_dist.parameters, (3, 256, 256), bound=1e-3)
    agree(decoder, lambda z: vae.decode(z).sample, (4, 32, 32), bound=1e-3)
    image = torch.rand(1, 3, 256, 256) * 2 - 1
    (moments,) = OnnxRuntime().load(encoder).run({"image": image.numpy()})
    with torch.inference_mode():
        mode = vae.encode(image).latent_dist.mode()
    assert np.abs(moments[:, :4] - mode.numpy()).max() < 1e-3


def test_the_unet_of_the_published_configuration(convert):
    """Its names, shapes and size, without its 3.4 GB of numbers; one step of a small one."""
    from functions.infer.convert.musetalk_nets import Step
    from tests.infer.convert import checkpoints as made

    with torch.device("meta"):
        unet = made.UNet2DConditionModel.from_config(made.plain(made.UNET))
    shapes = {name: tuple(tensor.shape) for name, tensor in unet.state_dict().items()}
    assert shapes["conv_in.weight"] == (320, 8, 3, 3)
    keys = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"
    assert shapes[keys] == (320, 384)
    assert 8.4e8 < sum(p.numel() for p in unet.parameters()) < 8.6e8
    small = made.UNet2DConditionModel.from_config(made.plain(made.SMALL_UNET)).eval()
    latents, heard = torch.randn(2, 8, 32, 32), torch.randn(2, 50, 384)
    with torch.inference_mode():
        expected = small(latents, torch.tensor([0]), encoder_hidden_states=heard).sample
        assert torch.equal(Step(small)(latents, heard), expected)


@pytest.mark.parametrize("family", ["viseme", "unheard-of"])
def test_a_family_without_a_published_layout(convert, tmp_path, family):
    """What there is instead is listed."""
    with pytest.raises(BadModelError, match="musetalk"):
        convert(family, tmp_path, tmp_path / "out", program=False)


def test_what_is_missing_of_musetalk_is_named(convert, tmp_path):
    """The folder, the configuration or the weights."""
    from functions.infer.convert import musetalk_nets as nets

    with pytest.raises(BadModelError, match="sd-vae"):
        nets.find_vae(tmp_path)
    with pytest.raises(BadModelError, match=r"config\.json is missing"):
        convert("musetalk", tmp_path, tmp_path / "out", program=False)
    (tmp_path / "whisper").mkdir()
    (tmp_path / "whisper" / "config.json").write_text("[1]")
    with pytest.raises(BadModelError, match="no settings"):
        convert("musetalk", tmp_path, tmp_path / "out", program=False)
