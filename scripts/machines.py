"""Machines to train on, by what their makers' data sheets say of them.

Peaks are of products of bfloat16 matrices without sparsity, links one way, cores those
of the processors, not their threads.
"""

import dataclasses

A100 = (
    "NVIDIA A100 data sheet (SXM, 80 GB): 312 TFLOPS bfloat16, 2039 GB/s, NVLink "
    "600 GB/s both ways; DGX A100 data sheet: 2 AMD EPYC 7742 of 64 cores"
)
H100 = (
    "NVIDIA H100 data sheet (SXM, 80 GB): 1979 TFLOPS bfloat16 with sparsity, half "
    "of it without, 3.35 TB/s, NVLink 900 GB/s both ways; DGX H100 data sheet: 2 "
    "Intel Xeon Platinum 8480C of 56 cores"
)
TPU_V4 = (
    "Google Cloud documentation, TPU v4: 275 TFLOPS bfloat16, 32 GiB, 1200 GB/s; "
    "Jouppi et al., 2023, https://arxiv.org/abs/2304.01433, table 4: 4 chips a host, 6 "
    "links of 50 GB/s a chip, of which a ring takes one (a compiler that uses more is "
    "faster). Hosts of 240 vCPUs, 120 cores: as recalled, unverified"
)
RTX_3090 = (
    "NVIDIA Ampere GA102 whitepaper: 71 TFLOPS of 16-bit floats with sums in 32 bits, "
    "936 GB/s, 24 GB"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """One host, or several, and their devices.

    Attributes:
        title: For people.
        devices: Of all hosts.
        hosts: Number of hosts.
        flops: Multiplications and additions a second, of a device.
        memory: Bytes of a device.
        memory_bandwidth: Bytes a second, of a device.
        link: Bytes a second, one way, at the narrowest place of a ring over all
            devices; None for one device.
        cores: Of all hosts; None where it is no figure of the machine.
        strategy: Value of `trainer.strategy`.
        source: Where the figures are from.
    """

    title: str
    devices: int
    hosts: int = 1
    flops: float
    memory: float
    memory_bandwidth: float
    link: float | None
    cores: int | None
    strategy: str
    source: str


MACHINES = {
    "a100x8": Machine(
        title="8 A100 of 80 GB in one host",
        devices=8,
        flops=312e12,
        memory=80e9,
        memory_bandwidth=2039e9,
        link=300e9,
        cores=128,
        strategy="@Mirrored()",
        source=A100,
    ),
    "a100x16": Machine(
        title="16 A100 of 80 GB in two hosts with 100 Gbit/s between them",
        devices=16,
        hosts=2,
        flops=312e12,
        memory=80e9,
        memory_bandwidth=2039e9,
        link=100e9 / 8,
        cores=256,
        strategy="@MultiWorker()",
        source=f"{A100}; one network card a host, IEEE 802.3 100GBASE",
    ),
    "h100x8": Machine(
        title="8 H100 of 80 GB in one host",
        devices=8,
        flops=989.5e12,
        memory=80e9,
        memory_bandwidth=3350e9,
        link=450e9,
        cores=112,
        strategy="@Mirrored()",
        source=H100,
    ),
    "tpu-v4-32": Machine(
        title="TPU v4-32: 16 chips, 4 hosts",
        devices=16,
        hosts=4,
        flops=275e12,
        memory=32 * 2**30,
        memory_bandwidth=1200e9,
        link=50e9,
        cores=480,
        strategy="@TPU(address='NAME')",
        source=TPU_V4,
    ),
    "rtx3090": Machine(
        title="one RTX 3090",
        devices=1,
        flops=71e12,
        memory=24e9,
        memory_bandwidth=936e9,
        link=None,
        cores=None,
        strategy="@OneDevice()",
        source=RTX_3090,
    ),
}


TIMM = (
    "results/benchmark-train-amp-nhwc-pt112-cu113-rtx3090.csv of "
    "huggingface/pytorch-image-models: PyTorch 1.12, 16 bits, channels last, images in "
    "memory"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A training step that others measured (`TIMM`).

    Attributes:
        network: By its name there.
        images: A second.
        batch: Images of a step.
        machine: That it ran on.
    """

    network: str
    images: float
    batch: int = 512
    machine: Machine = MACHINES["rtx3090"]

    def share(self, seconds: float) -> float:
        """Of what a step of so many seconds would give."""
        return self.images * seconds / self.batch


PUBLISHED = {
    "mnv3_cls_imagenet": Published(network="mobilenetv3_large_100", images=2732.43),
    "mnv3small_cls_imagenet": Published(
        network="mobilenetv3_small_100", images=8035.08
    ),
    "mnv2_cls_imagenet": Published(network="mobilenetv2_100", images=2313.10),
    "mnasnet_cls_imagenet": Published(network="mnasnet_a1", images=2291.94),
}
"""By experiment."""
