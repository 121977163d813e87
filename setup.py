"""Installs ser_brain, its console command and its embedded assets."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
# What a checkout has beside the package; ser_brain.assets.ROOT finds it.
BESIDE = {"hparams": "**/*.yaml", "recipes": "*/*.*"}
SHIPPED = "ser_brain/assets/checkout"

EXTRAS = {
    # Runs of a plan on many machines (docs/clusters.md).
    "ray": ["ray>=2.50,<3"],
    # Models outside torch: `ser-brain export`, `predict --runtime onnx`.
    "onnx": ["onnx>=1.17", "onnxruntime>=1.20"],
    "serve": [
        "fastapi>=0.115",
        # The files of the page /docs, which FastAPI loads from elsewhere.
        "fastapi-offline>=1.7",
        "uvicorn>=0.30",
        "prometheus-client>=0.20",
    ],
    "web": ["gradio>=5.30"],
    # Parameter-efficient fine-tuning.
    "peft": ["peft>=0.15"],
    # Other loggers of losses than TensorBoard.
    "loggers": [
        "wandb>=0.19",
        "mlflow-skinny>=2.19",
        # MLflow's local store.
        "sqlalchemy>=2",
        "alembic>=1.13",
    ],
    "docs": [
        "mkdocs-material>=9.5",
        "mkdocstrings-python>=1.10",
        "nbclient>=0.10",
        "nbformat>=5.10",
        "ipykernel>=6.29",
    ],
    # Another engine of tools/torture_fuzz.py.
    "fuzz": ["atheris>=3"],
    # A baseline of benchmarks/kmeans.py.
    "bench": ["faiss-cpu>=1.8"],
    # Parity tests of wav2vec 1.0 alone; checkpoints are read without it.
    "fairseq": ["fairseq-fixed>=0.12.3"],
}

# What the tests need: an extra is in here when its tests always run.
DEV = [
    "pytest>=8",
    # Builds the wheel that tests/test_wheel.py installs.
    "setuptools>=70.1",
    "pytest-xdist>=3",
    "hypothesis>=6.100",
    "ruff>=0.15",
    "pyworld>=0.3.5",
    "httpx>=0.27",
    "playwright>=1.49",
    *(
        package
        for extra in ("ray", "onnx", "serve", "web", "peft", "docs")
        for package in EXTRAS[extra]
    ),
]


class BuildWithRecipes(build_py):
    """Also copies the recipes and settings into a package that is built."""

    def run(self):
        """Builds the package; an editable one finds them in the checkout."""
        super().run()
        if self.editable_mode:
            return
        for source, target in self._beside().items():
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def get_outputs(self, *args, **kwargs):
        """The files of the build, these included."""
        return super().get_outputs(*args, **kwargs) + [
            str(target) for target in self._beside().values()
        ]

    def _beside(self):
        """Their paths here -> their paths in the build."""
        return {
            file: Path(self.build_lib, SHIPPED, file.relative_to(HERE))
            for folder, pattern in BESIDE.items()
            for file in sorted((HERE / folder).glob(pattern))
        }


setup(
    name="ser_brain",
    version="0.1.0",
    description=(
        "Speech emotion recognition with wav2vec 2.0 on SpeechBrain: "
        "V-FT, TAPT and P-TAPT, reproducible end to end"
    ),
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["ser_brain", "ser_brain.*"]),
    package_data={
        "ser_brain": [
            "assets/**/*",
            "corpora/*.yaml",
            "experiment/*.yaml",
            "reporting/*.html",
            "reporting/*.css",
            "reporting/*.yaml",
            "reporting/*.mplstyle",
            "serving/*.md",
            "serving/*.yaml",
        ]
    },
    cmdclass={"build_py": BuildWithRecipes},
    python_requires=">=3.10,<3.14",
    install_requires=[
        # torch and torchaudio are built as a pair: torchaudio 2.11 is its
        # last release and refuses a torch of another CUDA version.
        "torch>=2.11,<2.12",
        "torchaudio>=2.11,<2.12",
        "speechbrain>=1.1,<1.2",
        "hyperpyyaml>=1.2.3",
        "transformers>=5.0,<6",
        "safetensors>=0.4",
        "scikit-learn>=1.5",
        "numpy",
        "pandas>=2.2",
        "scipy",
        "statsmodels>=0.14",
        "tabulate>=0.9",
        "filelock",
        "threadpoolctl",
        "fsspec",
        "packaging",
        "pyyaml",
        "soundfile>=0.12",
        "soxr>=0.5",
        "tqdm",
        # Completion of ser-brain's words in a shell.
        "shtab>=1.7",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "tensorboard>=2.14",
        # Voice activity: the package carries its model.
        "silero-vad>=6.2",
    ],
    extras_require={**EXTRAS, "dev": DEV},
    entry_points={"console_scripts": ["ser-brain = ser_brain.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
