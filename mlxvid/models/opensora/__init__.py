"""Open-Sora 1.2: text and given frames to video, with factored attention, at many sizes and
lengths.
"""
