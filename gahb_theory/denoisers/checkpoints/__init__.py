"""Denoisers on disk: the folders of this library, and the files that others have published.

files         save_denoiser and load_denoiser
hub           repositories of the Hugging Face hub; the model card
configured    a network from its name and arguments
own_states    the arguments of a network of this library from its tensors alone
adapted       the description of a network that `adapt` has wrapped
published     which published network a file holds; those of Kadkhodaie et al.
mohan_2020    the networks of Mohan et al. 2020
zhang         the networks of Zhang et al., by the names of KAIR
building      a network filled with tensors, and a choice among several by denoising
unwrapping    the set of tensors that is meant, without the prefixes of wrappers
tensor_files  tensors in .safetensors and torch files, read without running code
"""

__all__: list[str] = []
